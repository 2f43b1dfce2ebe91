"""Spine parameters -> the vertebrae from T10 to the sacrum, and the field around them."""

from __future__ import annotations

import numpy as np

from tbsnode.phantom.anatomy import Frame, Level, Spine

# Against L1 (upward) or the last of L1-L4 (downward): pitch, width, density.
THORACIC = {"T10": (0.82, 0.90, 0.84), "T11": (0.86, 0.93, 0.88), "T12": (0.90, 0.96, 0.93)}
LAST_LUMBAR = (0.93, 1.05, 0.92)
SACRUM = (0.90, 1.08, 0.80)


def build_levels(spine: Spine, generator: np.random.Generator) -> tuple[Level, ...]:
    """Return the vertebrae from T10 to S1, from the head down.

    Parameters
    ----------
    spine : Spine
        What to draw.
    generator : numpy.random.Generator
        For the variation from level to level; the same number of draws whatever `spine` says.

    Returns
    -------
    tuple of Level
        T12/L1 lies at s = 0.
    """
    sizes = _sizes(spine)
    count = len(sizes)
    wobble = generator.uniform(-1.0, 1.0, (8, 12)) * spine.irregularity
    labels = [label for label, *_ in sizes]
    loss = {fracture.label: fracture.loss for fracture in spine.fractures}
    gain = {fracture.label: 1.0 + fracture.density_gain for fracture in spine.fractures}
    pitch = [
        size[1] * spine.scale * (1.0 - (1.0 - spine.disc_height) * loss.get(size[0], 0.0)) for size in sizes
    ]
    lines = np.concatenate([[0.0], np.cumsum(pitch)])
    lines -= lines[labels.index("L1")]
    tilts = np.tan(np.deg2rad(1.6 * wobble[0]))
    # A disc is as high for its upper neighbor as for its lower one; crushing spares it.
    whole = [
        size[1] * spine.scale * spine.disc_height * (1.0 + 0.04 * (k - 4)) for k, size in enumerate(sizes)
    ]
    discs = [whole[0], *whole]
    corners = spine.scale * (0.9 + 0.5 * wobble[1:3] + 5.0 * spine.osteophytes * (0.75 + 0.25 * wobble[1:3]))
    return tuple(
        Level(
            label=labels[k],
            top=float(lines[k]),
            bottom=float(lines[k + 1]),
            top_tilt=float(tilts[k]),
            bottom_tilt=float(tilts[k + 1]),
            half_width=sizes[k][2] * spine.scale / 2.0,
            disc_above=discs[k],
            disc_below=discs[k + 1],
            density=sizes[k][3] * (1.0 + 0.03 * float(wobble[3, k])),
            gain=gain.get(labels[k], 1.0),
            left_corner=float(corners[0, k]),
            right_corner=float(corners[1, k]),
            quirks=(float(wobble[4, k]), float(wobble[5, k]), float(wobble[6, k]), float(wobble[7, k])),
            fused=(k > 0 and labels[k - 1] in spine.fused, labels[k] in spine.fused),
        )
        for k in range(count)
    )


def _sizes(spine: Spine) -> list[tuple[str, float, float, float]]:
    """Return label, pitch [mm], width [mm] and density [g/cm2] of each level, T10 first."""
    first, *_, last = measured = list(zip(spine.pitch_mm, spine.width_mm, spine.density, strict=True))
    sizes = [(label, *_times(first, part)) for label, part in THORACIC.items()]
    sizes += [(f"L{k + 1}", *values) for k, values in enumerate(measured)]
    for k in range(5, spine.lumbar_count + 1):
        step = LAST_LUMBAR if k == spine.lumbar_count else (0.99, 1.01, 0.99)
        sizes.append((f"L{k}", *_times(last, step)))
    return [*sizes, ("S1", *_times(last, SACRUM))]


def _times(
    values: tuple[float, float, float], factors: tuple[float, float, float]
) -> tuple[float, float, float]:
    return values[0] * factors[0], values[1] * factors[1], values[2] * factors[2]


def build_frame(spine: Spine, levels: tuple[Level, ...]) -> Frame:
    """Return where the spine lies in the scanned field.

    A technologist scans from the middle of the last thoracic vertebra to the upper part of the
    last lumbar one; the field is 197 mm high at most unless `spine` asks for another.
    """
    last = next(level for level in reversed(levels) if level.label.startswith("L"))
    bottom = last.top if spine.lumbar_count != 4 else last.top + 0.6 * last.pitch
    height = spine.field_mm[0]
    if height is None:
        height = float(round(min(bottom + 55.0, max(197.0, bottom + 37.0))))
    above = 0.46 * (height - bottom)
    pivot = bottom / 2.0
    bow_mm, wave = 0.0, 2.0 * np.pi / (1.9 * max(bottom, 1.0))
    if spine.cobb_deg:
        bow_mm = float(np.tan(np.deg2rad(spine.cobb_deg / 2.0)) / wave)
    return Frame(
        field_mm=(height - spine.crop_top_mm - spine.crop_bottom_mm, spine.field_mm[1]),
        origin_mm=(above + pivot - spine.crop_top_mm, spine.field_mm[1] / 2.0 - 0.35 * bow_mm),
        pivot=pivot,
        shift_mm=spine.shift_mm,
        turn_deg=spine.rotation_deg,
        tilt_deg=spine.tilt_deg,
        bow_mm=bow_mm,
        wave=wave,
    )
