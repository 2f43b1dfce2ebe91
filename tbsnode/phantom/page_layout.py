"""What a report page looks like: size, place and polarity of the picture, ink in it, tables, private text.

Two families are imitated because receivers meet them everywhere: a white page with a bright-bone
picture whose place is repeated in private text, and a white page with an inverted picture and none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tbsnode.phantom.scanners import COARSE_DISPLAY, FINE_DISPLAY, LINEAR_16, Scanner

Color = tuple[int, int, int]
Place = Literal["upper left", "upper right", "lower left", "lower right"]
Pictures = Literal["spine", "spine and hip", "hip", "none"]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
BLUE: Color = (20, 40, 140)
YELLOW: Color = (255, 230, 0)
TEAL: Color = (0, 170, 180)
GREEN: Color = (40, 170, 70)
RED: Color = (220, 60, 40)

NOT_DIAGNOSTIC = "IMAGE NOT FOR DIAGNOSTIC USE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a report page is composed.

    Attributes
    ----------
    name : str
        For tests and messages.
    shape : (int, int)
        Rows and columns of the page.
    place : str
        The corner of the page in which the picture stands, below the head.
    pictures : str
        What is shown.
    zoom : int
        Screen pixels for each pixel of the picture, along rows and columns, copied.
    smooth_zoom : float or None
        Instead of `zoom`: bilinear interpolation, which cannot be undone.
    inverted : bool
        Bone dark on white.
    colored : bool
        RGB; False: one gray sample, ink at the end of the scale that stands off the picture.
    frame_px : int
        Width of the black frame around the picture [pixels].
    lines, dashed_last, left_bar : bool
        Bone edges and mid-disc lines in the picture; the last line dashed; a bar at the left from
        which the lines start.
    line_reach_mm : float
        How far the lines run beyond the bone edge [mm].
    line_width_px : int
        1 or 2.
    antialiased : bool
        Ink blends into the picture at its edges.
    edge_color, line_color : Color
        Of the bone edge; of lines, bar and labels.
    labels : str
        ``"inside"`` the picture at the left, ``"outside"`` in the page's margin, or ``"none"``.
    caption : str
        ``"below"`` the picture, ``"over"`` its lower left, or ``"none"``.
    calibration : bool
        Two more lines of caption: the scanner's constants and the region's size in scan lines.
    table, chart : bool
        The printed results; the reference chart below them.
    wide_table : bool
        Sums of neighboring levels, and a second table with content, area, width and height.
    scores : bool
        Columns of T- and Z-scores.
    decimal_comma : bool
        ``13,26`` instead of ``13.26``.
    area_factor : float
        Printed areas and contents against the true ones: 1.5 is another patient's table.
    script : bool
        Private text that repeats results and place of the picture.
    script_box : bool
        The private text states the place.
    script_box_error : (int, int, int, int)
        Added to the stated left, top, width and height [pixels].
    script_part : float
        The fraction of the private text that is kept, from its beginning.
    named_by : str
        What tells the scanned region in the header: ``"body part"`` or ``"protocol"`` alone.
    scanner : Scanner
        Sampling of the picture, unless a test asks for another.
    """

    name: str
    shape: tuple[int, int] = (1400, 1200)
    place: Place = "upper left"
    pictures: Pictures = "spine"
    zoom: int = 2
    smooth_zoom: float | None = None
    inverted: bool = False
    colored: bool = True
    frame_px: int = 2
    lines: bool = True
    dashed_last: bool = True
    left_bar: bool = True
    line_reach_mm: float = 28.0
    line_width_px: int = 1
    antialiased: bool = False
    edge_color: Color = YELLOW
    line_color: Color = YELLOW
    labels: Literal["inside", "outside", "none"] = "inside"
    caption: Literal["below", "over", "none"] = "below"
    calibration: bool = True
    table: bool = True
    chart: bool = True
    wide_table: bool = False
    scores: bool = True
    decimal_comma: bool = False
    area_factor: float = 1.0
    script: bool = True
    script_box: bool = True
    script_box_error: tuple[int, int, int, int] = (0, 0, 0, 0)
    script_part: float = 1.0
    named_by: Literal["body part", "protocol"] = "body part"
    scanner: Scanner = LINEAR_16


WHITE_PAGE = Layout(name="white page")
INVERTED_PAGE = Layout(
    name="inverted page",
    shape=(1500, 1280),
    inverted=True,
    frame_px=1,
    dashed_last=False,
    left_bar=False,
    line_reach_mm=4.0,
    line_color=TEAL,
    caption="over",
    calibration=False,
    wide_table=True,
    script=False,
    named_by="protocol",
    scanner=COARSE_DISPLAY,
)
GRAY_PAGE = replace(WHITE_PAGE, name="gray page", colored=False)
PLAIN_PAGE = replace(WHITE_PAGE, name="page without lines", lines=False, labels="none")
LAYOUTS = (WHITE_PAGE, INVERTED_PAGE, GRAY_PAGE, PLAIN_PAGE)

_TALL = (1964, 1200)
# What is seen less often: each differs from its family in what its name says.
VARIANTS = (
    replace(WHITE_PAGE, name="wide white page", shape=(1760, 1440)),
    replace(WHITE_PAGE, name="one screen pixel each", zoom=1),
    replace(WHITE_PAGE, name="three screen pixels each", zoom=3, shape=_TALL),
    replace(WHITE_PAGE, name="interpolated picture", smooth_zoom=1.7),
    replace(WHITE_PAGE, name="broad antialiased ink", line_width_px=2, antialiased=True),
    replace(WHITE_PAGE, name="white lines", line_color=WHITE),
    replace(WHITE_PAGE, name="no frame, labels outside", frame_px=0, labels="outside"),
    replace(WHITE_PAGE, name="caption over the picture", caption="over"),
    replace(WHITE_PAGE, name="lower right corner", place="lower right"),
    replace(WHITE_PAGE, name="decimal comma, no scores", decimal_comma=True, scores=False),
    replace(WHITE_PAGE, name="stated place is the frame", script_box_error=(-2, -2, 4, 4)),
    replace(WHITE_PAGE, name="stated place is shifted", script_box_error=(3, -2, 0, 0)),
    replace(WHITE_PAGE, name="place not stated", script_box=False),
    replace(WHITE_PAGE, name="no private text", script=False),
    replace(WHITE_PAGE, name="private text cut off", script_part=0.5),
    replace(WHITE_PAGE, name="table of another patient", area_factor=1.5),
    replace(WHITE_PAGE, name="spine and hip", pictures="spine and hip", shape=_TALL),
    replace(WHITE_PAGE, name="hip", pictures="hip"),
    replace(WHITE_PAGE, name="no picture", pictures="none"),
    replace(INVERTED_PAGE, name="inverted, antialiased", antialiased=True),
    replace(INVERTED_PAGE, name="inverted, no frame", frame_px=0),
    replace(INVERTED_PAGE, name="inverted, one screen pixel each, broad ink", zoom=1, line_width_px=2),
    replace(INVERTED_PAGE, name="inverted, interpolated", smooth_zoom=1.6),
    replace(INVERTED_PAGE, name="inverted, gray", colored=False),
    replace(INVERTED_PAGE, name="inverted, without lines", lines=False, labels="none"),
    replace(INVERTED_PAGE, name="inverted, fine picture", zoom=1, scanner=FINE_DISPLAY, shape=(1600, 1440)),
    replace(INVERTED_PAGE, name="inverted, spine and hip", pictures="spine and hip", shape=(1650, 1280)),
    replace(INVERTED_PAGE, name="inverted, hip", pictures="hip"),
)
