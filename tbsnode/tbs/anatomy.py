"""What is known of the lumbar spine on a densitometry picture: one number, one unit, one source.

Everything that the search for vertebrae assumes stands here. Sources: [GE] and [Hologic] are
geometry printed on vendors' sample reports; [iDXA] is one man's picture, measured; [Panjabi] is
Panjabi et al., Spine 17(3), 1992; [NHANES] are the codebooks of 2007-2018; [ISCD] positions 2019
and 2023; [design] is this project's own decision, open to revision with evidence.
"""

from __future__ import annotations

GRID_MM = 0.5  # squares on which bones are searched, never scored [design]

# pixel spacing and frame
SPACING_MIN_MM = 0.2  # [design], finest export seen 0.25 mm [iDXA]
SPACING_MAX_MM = 1.3  # [design], spine modes reach 1.1 mm [Hologic]
SPACING_FACTORS = (0.6, 1.67)  # tried where a derived spacing shows no spine [design]
FIELD_WIDTHS_MM = (140.0, 180.0, 110.0)  # tried where no spacing is known; 110 to 180 are seen [GE, Hologic]
FRAME_ASPECT_MAX = 2.0  # height / width; lateral and whole-body pictures exceed it [iDXA]
FRAME_MIN_MM = 60.0  # less than two vertebrae high, or narrower than column and both sides [design]

# the column
WINDOW_MM = 45.0  # window that follows the column; endplates are 33-60 mm wide [iDXA, GE]
FLANK_MM = 20.0  # soft tissue on either side that the window is compared with [design]
SIDE_MM = 80.0  # how far to either side of the axis the picture is straightened [design]
HALF_WIDTH_MIN_MM = 13.0  # half of 28 mm, less half a millimeter a side
HALF_WIDTH_MAX_MM = 33.0  # half of 65 mm
BODY_WIDTH_MM = (28.0, 65.0)  # anatomical check of a derived spacing [design; iDXA, GE]
TILT_WARN_DEG = 5.0  # 90th percentile of 98 clinical spines 3.7, largest 6.1
TILT_REFUSE_DEG = 15.0  # beyond: not positioned as an AP spine [design]
ENVELOPE = 1.3  # an edge further out than this times the local width is not the body [design]

# the levels
PITCH_MM = (24.0, 47.0)  # mean disc to disc; 25.7 (77 y, 154 cm) to 43.3 mm seen [GE, iDXA]
PITCH_STATED_MM = (20.0, 56.0)  # of a stated spacing: beyond any adult; half of it gives 13-22 [design]
PITCH_SINGLE_MIN_MM = 16.0  # a crushed level: 40 % of the body lost at the smallest pitch
PITCH_CHANGE_MM = 6.0  # between neighbors; further change costs, up to a crushed level [design]
DISC_SLOPE_MAX = 0.2  # a disc line tilts at most 11 degrees against the axis [design]
# Lateral strips for discs, in half widths: the inner one beside the laminae and always on the body,
# the outer one where discs are darkest and the waist is dark too; 13-26 mm on 4 pictures.
STRIPS = ((0.55, 0.78), (0.78, 1.02))
CENTER = 0.32  # central strip: interlaminar window and spinous process, in half widths
PARAMEDIAN = (0.45, 0.72)  # pedicles, in half widths
DISC_PART = 0.38  # thickness of a disc, of the half width: 8-12 mm in a man of 180 cm [iDXA]
DISC_MM = (5.0, 11.0)  # and its limits
REDUCED_HEIGHT = 0.75  # of the neighbors [ISCD practice, design]
CUT_MM = 3.0  # a boundary nearer to frame or padding than this is cut [design]

# labels
CREST_MM = 2.0  # top of the visible crest below the L4/L5 disc [design]
CREST_SD_MM = 10.0  # [design]
CREST_PARTLY_SD_MM = 18.0  # of a crest too low, where the other side does not show the same [design]
RIB_SD_MM = 9.0  # root of the lowest rib against its expected place [design]
FIELD_SD_MM = 16.0  # positioning: T12 lower half to L5 upper part [GE manuals by way of design]
TOP_MARGIN_MM = 24.0  # T12/L1 below the upper border of the field
BOTTOM_MARGIN_MM = 24.0  # L4/L5 above its lower border
OUTLIER = 0.04  # chance that a sign misleads, as at a transitional vertebra [design]
NO_RIB = 0.15  # chance that the lowest rib seen is not the twelfth; absent in 12-16 of 93
FALSE_RIB = 0.4  # the same where only one side shows it [design]
# L1 to L4 over their mean: three people on two scanners [iDXA, GE]; weak, so it may mislead often
PITCH_GROWTH = (0.918, 0.949, 1.070, 1.063)
PITCH_GROWTH_SD = 0.045
# widths of L1 to L4 over their mean: the same three people and cadavers [iDXA, GE, Panjabi]
WIDTH_GROWTH = (0.922, 0.964, 1.018, 1.096)
WIDTH_GROWTH_SD = 0.03
# bone of L1 over that of L2 and L3: 0.90-0.99 in means of men and women, single people 0.77-0.97
DENSITY_L1 = 0.91
DENSITY_L1_SD = 0.08
WEAK_CUE = 0.45  # chance that such a cue misleads [design]
LABELS_CERTAIN = 0.80  # confidence below which the labels are reported as uncertain [design]
