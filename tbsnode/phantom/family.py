"""A family of cases: patients, positions, scanners and mishaps, drawn at random from a seed.

Anatomy varies as far as published and printed values do; imaging as far as exports seen in the field
do. Nothing is picked by hand: the same number and seed give the same cases, and more cases are more of
the same distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tbsnode.phantom import chest, forearm, hip, knee, lateral, page, scanners, whole_body
from tbsnode.phantom import spine as spines
from tbsnode.phantom.anatomy import Fracture, Spine
from tbsnode.phantom.drawing import Drawing, Truth
from tbsnode.phantom.scanners import Scanner

SCORED, EXCLUDED, DOUBTED, REFUSED, CAUGHT = "scored", "level excluded", "doubted", "refused", "caught"
REPEATS = 5  # scans of one patient in the repositioning group
PAGE_MM = 0.2  # of a page pixel, were the whole page taken for a picture


def _page(seed: int) -> Drawing:
    """Draw a report page in gray, as somebody would see it who takes it for the picture itself."""
    spine = spines.draw(Spine(), seed)
    assert spine.truth is not None
    drawn = page.report_page(scanners.scan(spine, scanners.LINEAR_16, seed), spine.truth, ("NAME: NOBODY",))
    return Drawing(pixels=drawn.pixels.mean(axis=2) / 255.0, pixel_spacing_mm=(PAGE_MM,) * 2, truth=None)


OTHERS: dict[str, Callable[[int], Drawing]] = {
    "hip": hip.draw,
    "forearm": forearm.draw,
    "knee": knee.draw,
    "lateral spine": lateral.draw,
    "whole body": whole_body.draw,
    "chest": chest.draw,
    "report page": _page,
}
# How often each group is drawn; the numbers are shares of the whole.
SHARES = {
    "ordinary": 24,
    "shape": 16,
    "numbering": 14,
    "imaging": 12,
    "artifact": 10,
    "orientation": 8,
    "crop": 6,
    "repositioning": 15,
    "no spine": 12,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture to be made.

    Attributes
    ----------
    number : int
        Place in the family.
    group, name : str
        Which kind, and what is special.
    spine : Spine or None
        Who; None for what is no AP spine.
    seed : int
        Of the individual; cases of one patient share it.
    scanner : Scanner
        How it is stored.
    scan_seed : int
        Of noise and margins.
    noise, movement_mm : float
        As `scanners.scan` takes them.
    turned : str
        ``""``, ``"upside down"``, ``"mirrored"`` or ``"inverted"``.
    expected : str
        `SCORED`, `EXCLUDED` (scored, with a level left out), `DOUBTED` (scored with LEVELS_UNCERTAIN, or
        refused), `REFUSED`, `CAUGHT` (refused, or scored with a finding that names it).
    """

    number: int
    group: str
    name: str
    spine: Spine | None
    seed: int
    scanner: Scanner
    scan_seed: int
    noise: float = 1.0
    movement_mm: float = 0.0
    turned: str = ""
    expected: str = SCORED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendered:
    """A picture with its truth.

    Attributes
    ----------
    pixels : ndarray of shape (M, N), float64
        As stored.
    pixel_spacing_mm : (float, float)
        Distance of rows and of columns.
    stored_maximum : float
        Largest value the stored bits hold.
    truth : Truth or None
        Of the drawing, before it was turned.
    to_pixels : callable
        Field points [mm] to (row, column) on the picture.
    """

    pixels: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    stored_maximum: float
    truth: Truth | None
    to_pixels: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def cases(number: int, seed: int = 0) -> tuple[Case, ...]:
    """Draw a family.

    Parameters
    ----------
    number : int
        How many pictures.
    seed : int
        Which family; another seed shares no patient with it.

    Returns
    -------
    tuple of Case
        Groups in turn, so that the first forty of a family are a sample of all of it.
    """
    drawn: list[Case] = []
    order, turns = _order(), dict.fromkeys(SHARES, 0)
    for index in range(number):
        group = order[index % len(order)]
        rng = np.random.default_rng([seed, index])
        made = _MAKERS[group](rng, turns[group] if group == "repositioning" else index, seed)
        turns[group] += 1
        drawn.append(replace(made, number=index, group=group, scan_seed=100_000 * seed + index))
    return tuple(drawn)


def _order() -> list[str]:
    """Spread the groups evenly over one round."""
    total = sum(SHARES.values())
    places = [((k + 0.5) * total / share, name) for name, share in SHARES.items() for k in range(share)]
    return [name for _, name in sorted(places)]


def render(case: Case) -> Rendered:
    """Make the picture of a case; the same case gives the same pixels."""
    drawing = spines.draw(case.spine, case.seed) if case.spine is not None else _other(case)
    image = scanners.scan(
        drawing, case.scanner, case.scan_seed, noise=case.noise, movement_mm=case.movement_mm
    )
    top = float(np.iinfo(image.pixels.dtype).max)
    pixels = image.pixels.astype(np.float64)
    columns = pixels.shape[1]

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        place = image.to_pixels(points)
        if case.turned == "mirrored":
            place = place * (1.0, -1.0) + (0.0, columns - 1.0)
        return place

    if case.turned == "upside down":
        pixels = pixels[::-1]
    elif case.turned == "mirrored":
        pixels = pixels[:, ::-1]
    elif case.turned == "inverted":
        pixels = top - pixels
    return Rendered(
        pixels=np.ascontiguousarray(pixels),
        pixel_spacing_mm=image.pixel_spacing_mm,
        stored_maximum=top,
        truth=drawing.truth,
        to_pixels=to_pixels,
    )


def _other(case: Case) -> Drawing:
    if case.name == "blank":
        return Drawing(pixels=np.full((780, 720), 0.1), pixel_spacing_mm=(0.25, 0.25), truth=None)
    return OTHERS[case.name](case.seed)


# ---- one maker a group ----------------------------------------------------------------------------


def _person(rng: np.random.Generator) -> Spine:
    """Draw an adult: size, density, shape and texture, each over its whole range."""
    scale = float(rng.uniform(0.87, 1.13))
    dense = float(rng.uniform(0.70, 1.15))
    return Spine(
        scale=scale,
        density=tuple(dense * np.array([1.04, 1.12, 1.18, 1.17]) * rng.normal(1.0, 0.04, 4)),
        waist=float(rng.uniform(0.74, 0.84)),
        disc_height=float(rng.uniform(0.21, 0.29)),
        disc_ratio=float(rng.uniform(0.55, 0.80)),
        lateral_disc_ratio=float(rng.uniform(0.15, 0.50)),
        decoy=float(rng.uniform(0.3, 1.0)),
        lean_mm=float(rng.normal(0.0, 1.5)),
        tilt_deg=float(np.clip(rng.normal(0.0, 2.0), -6.0, 6.0)),
        cobb_deg=float(abs(rng.normal(0.0, 4.0))),
        osteophytes=float(rng.uniform(0.0, 0.5)),
        facet_sclerosis=float(rng.uniform(0.0, 0.6)),
        aorta=bool(rng.random() < 0.2),
        gas=float(rng.uniform(0.3, 1.8)),
        texture=float(rng.uniform(0.6, 1.6)),
        texture_length_mm=float(rng.uniform(2.0, 9.0)),
        texture_sd=float(rng.uniform(0.03, 0.12)),
        irregularity=float(rng.uniform(0.6, 1.4)),
        shift_mm=(float(rng.uniform(-6.0, 6.0)), float(rng.uniform(-6.0, 6.0))),
    )


def _scanner(rng: np.random.Generator) -> Scanner:
    """Draw an export: sampling, sharpness, gray levels and margins."""
    kind = int(rng.integers(0, 4))
    margin = int(rng.choice([0, 252]))
    if kind == 0:
        return replace(
            scanners.FINE_DISPLAY, padding_value=margin, sharpness_mm=float(rng.uniform(0.3, 0.45))
        )
    if kind == 1:
        step = float(rng.uniform(0.55, 0.62))
        seven = bool(rng.random() < 0.5)
        return replace(
            scanners.COARSE_DISPLAY, pixel_spacing_mm=(step, step), padding_value=margin, seven_bit=seven
        )
    if kind == 2:
        step = float(rng.uniform(0.5, 1.05))
        return replace(
            scanners.LINEAR_16, pixel_spacing_mm=(step, step), width_mm=float(rng.uniform(130.0, 180.0))
        )
    return replace(scanners.LINEAR_16_OBLONG, width_mm=float(rng.uniform(137.0, 180.0)))


def _case(rng: np.random.Generator, index: int, seed: int, spine: Spine | None, **values: object) -> Case:
    made = Case(
        number=index,
        group="",
        name="",
        spine=spine,
        seed=100_000 * seed + index,
        scanner=_scanner(rng),
        scan_seed=0,
        noise=float(rng.uniform(0.7, 1.4)),
    )
    return replace(made, **values)  # type: ignore[arg-type]


def _ordinary(rng: np.random.Generator, index: int, seed: int) -> Case:
    return _case(rng, index, seed, _person(rng))


def _shape(rng: np.random.Generator, index: int, seed: int) -> Case:
    person, kind = _person(rng), int(rng.integers(0, 5))
    if kind == 0:
        level = str(rng.choice(["L1", "L2", "L3", "L4"]))
        loss = float(rng.uniform(0.20, 0.40))
        crushed = replace(person, fractures=(Fracture(label=level, loss=loss),))
        # below 75 % of its neighbors it must be left out; between, either is right
        expected = EXCLUDED if loss >= 0.30 else SCORED
        return _case(rng, index, seed, crushed, name=f"fracture {100 * loss:.0f} %", expected=expected)
    if kind == 1:
        return _case(rng, index, seed, replace(person, cobb_deg=float(rng.uniform(10, 25))), name="scoliosis")
    if kind == 2:
        worn = replace(person, osteophytes=float(rng.uniform(0.6, 1.0)), facet_sclerosis=1.0)
        return _case(rng, index, seed, worn, name="degeneration")
    if kind == 3:
        return _case(rng, index, seed, replace(person, tilt_deg=float(rng.uniform(4, 8))), name="tilt")
    opened = replace(person, laminectomy=("L3", "L4") if rng.random() < 0.5 else ("L4",))
    return _case(rng, index, seed, opened, name="laminectomy")


def _numbering(rng: np.random.Generator, index: int, seed: int) -> Case:
    person = replace(
        _person(rng),
        lumbar_count=int(rng.choice([4, 5, 6])),
        ribs=bool(rng.random() < 0.6),
        crests=bool(rng.random() < 0.7),
    )
    odd = person.lumbar_count != 5
    unseen = not (person.ribs and person.crests)
    names = [f"{person.lumbar_count} lumbar"] + ["no ribs"] * (not person.ribs)
    names += ["no crests"] * (not person.crests)
    expected = DOUBTED if odd or unseen else SCORED
    return _case(rng, index, seed, person, name=", ".join(names), expected=expected)


def _imaging(rng: np.random.Generator, index: int, seed: int) -> Case:
    person, kind = _person(rng), int(rng.integers(0, 3))
    if kind == 0:
        return _case(rng, index, seed, person, name="obese", noise=float(rng.uniform(1.6, 2.6)))
    if kind == 1:
        gassy = replace(person, gas=float(rng.uniform(2.0, 3.0)), soft_tissue=2.0)
        return _case(rng, index, seed, gassy, name="bowel gas")
    made = _case(rng, index, seed, person, name="unsharp")
    blurred = replace(made.scanner, sharpness_mm=made.scanner.sharpness_mm * float(rng.uniform(1.2, 1.5)))
    return replace(made, scanner=blurred)


def _artifact(rng: np.random.Generator, index: int, seed: int) -> Case:
    kind = str(rng.choice(["screws", "blob", "wire", "movement"]))
    person = _person(rng)
    if kind == "movement":
        step = float(rng.uniform(4.0, 9.0))
        return _case(rng, index, seed, person, name=kind, movement_mm=step, expected=CAUGHT)
    expected = CAUGHT if kind == "wire" else EXCLUDED
    return _case(rng, index, seed, replace(person, metal=(kind,)), name=kind, expected=expected)


def _orientation(rng: np.random.Generator, index: int, seed: int) -> Case:
    turned = str(rng.choice(["upside down", "mirrored", "inverted"]))
    expected = REFUSED if turned == "upside down" else SCORED
    made = _case(rng, index, seed, _person(rng), name=turned, turned=turned, expected=expected)
    if turned == "inverted":  # margins are not inverted by an export that inverts the picture
        made = replace(made, scanner=replace(made.scanner, padding_value=None))
    return made


def _crop(rng: np.random.Generator, index: int, seed: int) -> Case:
    person = replace(_person(rng), shift_mm=(0.0, 0.0), tilt_deg=0.0)
    top = bool(rng.random() < 0.5)
    cut = 0.25 * round(4 * float(rng.uniform(28.0, 36.0)) * person.scale)
    cropped = replace(person, crop_top_mm=cut) if top else replace(person, crop_bottom_mm=cut)
    return _case(rng, index, seed, cropped, name="L1 cut" if top else "L4 cut", expected=CAUGHT)


def _repositioning(rng: np.random.Generator, turn: int, seed: int) -> Case:
    """Scan one patient after the other `REPEATS` times; patient and scanner follow from the turn."""
    patient = turn // REPEATS
    own = np.random.default_rng([seed, 7_000_000 + patient])
    person, scanner = _person(own), _scanner(own)
    moved = replace(
        person,
        shift_mm=(float(rng.uniform(-10.0, 10.0)), float(rng.uniform(-10.0, 10.0))),
        rotation_deg=float(rng.uniform(-2.0, 2.0)),
    )
    made = _case(rng, turn, seed, moved, name=f"patient {patient}")
    return replace(made, seed=100_000 * seed + 50_000 + patient, scanner=scanner, noise=1.0)


def _no_spine(rng: np.random.Generator, index: int, seed: int) -> Case:
    name = str(rng.choice([*OTHERS, "blank"]))
    return _case(rng, index, seed, None, name=name, expected=REFUSED)


_MAKERS: dict[str, Callable[[np.random.Generator, int, int], Case]] = {
    "ordinary": _ordinary,
    "shape": _shape,
    "numbering": _numbering,
    "imaging": _imaging,
    "artifact": _artifact,
    "orientation": _orientation,
    "crop": _crop,
    "repositioning": _repositioning,
    "no spine": _no_spine,
}
