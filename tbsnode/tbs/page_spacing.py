"""The pixel spacing of a picture without one, from the areas that the scanner states of its regions.

A region's area in pixels times the area of a pixel is its area in square millimeters. Each level gives
the spacing by itself, so the levels judge each other: where they differ, table and picture do not belong
together and there is no spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.errors import SegmentationError
from tbsnode.tbs import anatomy, field, ink, labeling, region, segmentation
from tbsnode.tbs.parameters import Parameters

LEVELS_MIN = 2
SPREAD_MAX = 0.05  # largest less smallest spacing of the levels over their median
OWN_SPREAD_MAX = 0.09  # the same with our own bone edges, which differ from the scanner's level by level
FIELD_WIDTH_MM = 140.0  # of a spine picture; 110 to 180 are seen
TRIALS = (0.85, 1.15, 0.62, 1.55)  # of the spacing that such a width gives
ROUNDS = 4
CLOSE = 0.005  # relative change of the spacing that ends the rounds
CLEARLY_BETTER = 0.5  # of our labels' spread; then the scanner means the neighbors

Stated = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaSpacing:
    """A spacing from areas.

    Attributes
    ----------
    pixel_spacing_mm : float
        Of square pixels; median of the levels.
    spread : float
        Largest less smallest over median.
    labels : tuple of str
        The level of each region, from the head down.
    first : int
        Which of the regions given is the first of `labels`.
    """

    pixel_spacing_mm: float
    spread: float
    labels: tuple[str, ...]
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSpacing:
    """What the search for a spine without a spacing found.

    Attributes
    ----------
    fit : AreaSpacing
        The spacing that areas of our own regions give.
    inverted : bool
        True where bone was dark.
    fits_a_person : bool
        True where the size of the spine passes the anatomical check at the spacing searched at.
    pitch_mm : float
        Mean distance of the discs.
    """

    fit: AreaSpacing
    inverted: bool
    fits_a_person: bool
    pitch_mm: float


def from_areas(areas_px: Sequence[float], stated: Stated) -> AreaSpacing | None:
    """Compare areas in pixels with stated ones, level by level.

    Parameters
    ----------
    areas_px : sequence of float
        Of adjacent regions from the head down [pixels].
    stated : sequence of (str, float)
        Level and its area from the head down [mm2].

    Returns
    -------
    AreaSpacing or None
        Of the alignment with the least spread; None with fewer than two levels.

    Examples
    --------
    Regions of 4000 and 4400 pixels that the table calls 1000 and 1100 mm2 large:

    >>> from_areas([4000.0, 4400.0], [("L1", 1000.0), ("L2", 1100.0)]).pixel_spacing_mm
    0.5
    """
    count = min(len(areas_px), len(stated))
    if count < LEVELS_MIN or min((*areas_px, *(area for _, area in stated))) <= 0:
        return None
    best: AreaSpacing | None = None
    for first in range(len(areas_px) - count + 1):
        for skipped in range(len(stated) - count + 1):
            pairs = zip(areas_px[first : first + count], stated[skipped : skipped + count], strict=True)
            steps = np.sqrt([area_mm2 / area_px for area_px, (_, area_mm2) in pairs])
            middle = float(np.median(steps))
            spread = float(np.ptp(steps)) / middle
            if best is None or spread < best.spread:
                labels = tuple(label for label, _ in stated[skipped : skipped + count])
                best = AreaSpacing(pixel_spacing_mm=middle, spread=spread, labels=labels, first=first)
    return best


def from_own_regions(
    pixels: NDArray[np.float64],
    blocked: NDArray[np.bool_],
    stated: Stated,
    *,
    near_mm: float | None = None,
) -> OwnSpacing | None:
    """Find the spine at trial spacings, and compare our own whole levels with the stated areas.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
        Gray levels [a.u.].
    blocked : ndarray of shape (M, N)
        Pixels that show no patient.
    stated : sequence of (str, float)
        Level and its area from the head down [mm2]; some of L1 to L4.
    near_mm : float, optional
        A spacing to search at, and no other; as good as known from elsewhere.

    Returns
    -------
    OwnSpacing or None
        None where no spine is found.
    """
    picture = ink.filled(pixels, blocked)
    scanned = field.scanned_field(picture)
    if near_mm is not None:
        return _own(picture, scanned, near_mm, stated)
    best: OwnSpacing | None = None
    for trial in TRIALS:
        found = _settled(picture, scanned, FIELD_WIDTH_MM / pixels.shape[1] * trial, stated)
        if found is not None and (best is None or found.fit.spread < best.fit.spread):
            best = found
        if best is not None and best.fit.spread <= SPREAD_MAX:
            break
    return best


def _settled(
    picture: NDArray[np.float64], scanned: NDArray[np.bool_], step_mm: float, stated: Stated
) -> OwnSpacing | None:
    """Repeat the search at the spacing that it gave until it gives the same; None if it never does."""
    for _ in range(ROUNDS):
        found = _own(picture, scanned, step_mm, stated)
        if (
            found is None
            or not anatomy.SPACING_MIN_MM <= found.fit.pixel_spacing_mm <= anatomy.SPACING_MAX_MM
        ):
            return None
        change = found.fit.pixel_spacing_mm / step_mm - 1
        step_mm = found.fit.pixel_spacing_mm
        if abs(change) < CLOSE:
            return found if found.fits_a_person else None
    return None


def shows_spine(pixels: NDArray[np.float64], blocked: NDArray[np.bool_]) -> bool | None:
    """Tell if a picture of unknown spacing shows a spine.

    Parameters
    ----------
    pixels, blocked : ndarray of shape (M, N)
        As for `from_own_regions`.

    Returns
    -------
    bool or None
        None: no. Else True where bone was dark.
    """
    picture = ink.filled(pixels, blocked)
    scanned = field.scanned_field(picture)
    for trial in TRIALS:
        found = _segmented(picture, scanned, FIELD_WIDTH_MM / pixels.shape[1] * trial)
        if found is not None:
            return found.inverted
    return None


def _segmented(
    picture: NDArray[np.float64], scanned: NDArray[np.bool_], step_mm: float
) -> segmentation.Segmentation | None:
    try:
        return segmentation.segment(picture, scanned, (step_mm, step_mm))
    except SegmentationError:
        return None


def _own(
    picture: NDArray[np.float64], scanned: NDArray[np.bool_], step_mm: float, stated: Stated
) -> OwnSpacing | None:
    found = _segmented(picture, scanned, step_mm)
    if found is None:
        return None
    first = labeling.label(found).first
    fits: dict[int, AreaSpacing] = {}
    for shift in (0, -1, 1):
        indices = [first + shift + int(label[1:]) - 1 for label, _ in stated]
        if all(index >= 0 and index + 1 < len(found.chain.s_mm) for index in indices):
            areas = [_whole_area_mm2(found, index) / step_mm**2 for index in indices]
            fit = from_areas(areas, stated)
            if fit is not None:
                fits[shift] = fit
    if not fits:
        return None
    best = min(fits, key=lambda shift: (fits[shift].spread, abs(shift)))
    if 0 in fits and fits[best].spread > CLEARLY_BETTER * fits[0].spread:
        best = 0
    return OwnSpacing(
        fit=fits[best],
        inverted=found.inverted,
        fits_a_person=_fits_a_person(found),
        pitch_mm=float(np.mean(found.chain.pitches_mm)),
    )


def _fits_a_person(found: segmentation.Segmentation) -> bool:
    pitch, width = float(np.mean(found.chain.pitches_mm)), 2.0 * float(np.median(found.edges.half_width))
    pitch_fits = anatomy.PITCH_MM[0] <= pitch <= anatomy.PITCH_MM[1]
    return pitch_fits and anatomy.BODY_WIDTH_MM[0] <= width <= anatomy.BODY_WIDTH_MM[1]


def _whole_area_mm2(found: segmentation.Segmentation, index: int) -> float:
    """Measure a level from mid-disc to mid-disc, nothing drawn in."""
    chain = found.chain
    upper, lower = (region.Line(chain.s_mm[i], chain.slope[i]) for i in (index, index + 1))
    outline = region.outline(found.column, found.edges, upper, lower, Parameters(edge_inset_mm=0.0))
    if not outline.ring:
        return 0.0
    y, x = (np.array(outline.ring) * found.column.grid.pixel_spacing_mm).T
    return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2
