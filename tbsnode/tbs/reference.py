"""Reference data: cut-offs and curves, each with where it comes from; a site may bring its own.

The packaged files lie in ``tbsnode/tbs/data``. A file of the site has the same form and must say its
source and provenance too.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_CURVE = "reference_us_2007_2008.toml"
_ORIGIN = ("name", "source", "provenance", "population")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSet:
    """Cut-offs between normal, partially degraded and degraded.

    Attributes
    ----------
    name : str
        ``"A"`` or ``"B"``.
    degraded_at, normal_above : float
        At or below: degraded; above: normal.
    normal_includes_cut_off : bool
        Whether `normal_above` itself is normal.
    sexes : tuple of str
        Whom it was proposed for.
    source : str
        Publication.
    """

    name: str
    degraded_at: float
    normal_above: float
    normal_includes_cut_off: bool
    sexes: tuple[str, ...]
    source: str

    def category(self, tbs: float) -> str:
        """Return the class of a value, compared at full precision."""
        if tbs <= self.degraded_at:
            return "degraded"
        normal = tbs >= self.normal_above if self.normal_includes_cut_off else tbs > self.normal_above
        return "normal" if normal else "partially_degraded"

    def touched(self, low: float, high: float) -> tuple[str, ...]:
        """Return every class that an interval touches, the better one first."""
        found = {self.category(low), self.category(high)}
        if low <= self.normal_above <= high:
            found |= {"normal", "partially_degraded"}
        if low <= self.degraded_at <= high:
            found |= {"partially_degraded", "degraded"}
        return tuple(name for name in ("normal", "partially_degraded", "degraded") if name in found)

    @property
    def stated(self) -> str:
        """Name and numbers, as reports print them."""
        return f"{self.name}: {self.degraded_at:.3f} / {self.normal_above:.3f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCurve:
    """Mean and SD of TBS by age and sex.

    Attributes
    ----------
    name, source, population : str
        What it is and whom it describes.
    ages_years : tuple of float
        Ages are clamped to this range.
    coefficients : tuple of (str, tuple of float)
        By sex: a polynomial in (age - 50) / 10, constant first.
    sd : tuple of (str, float)
        By sex.
    """

    name: str
    source: str
    population: str
    ages_years: tuple[float, float]
    coefficients: tuple[tuple[str, tuple[float, ...]], ...]
    sd: tuple[tuple[str, float], ...]

    def group(self, sex: str) -> str:
        """Name the curve of a sex, as reports print it."""
        return f"{self.name}, {'women' if sex == 'F' else 'men'}"

    def compared_with(self, age_years: float, sex: str) -> str:
        """Name the group that a Z-score compares with; beyond the ages of the curve, the age it is held at.

        Examples
        --------
        >>> reference_curve().compared_with(68.0, "F"), reference_curve().compared_with(91.0, "M")
        ('US NHANES 2007-2008, women', 'US NHANES 2007-2008, men of 75 years')
        """
        held = min(max(age_years, self.ages_years[0]), self.ages_years[1])
        return self.group(sex) if held == age_years else f"{self.group(sex)} of {held:g} years"

    def mean(self, age_years: float, sex: str) -> float:
        """Return the mean TBS at an age."""
        low, high = self.ages_years
        x = (min(max(age_years, low), high) - 50.0) / 10.0
        return math.fsum(c * x**power for power, c in enumerate(dict(self.coefficients)[sex]))

    def z_score(self, tbs: float, age_years: float, sex: str) -> float:
        """Return how many standard deviations a value lies above the mean of age and sex."""
        return (tbs - self.mean(age_years, sex)) / dict(self.sd)[sex]


class ReferenceDataError(ValueError):
    """A reference file of the site that cannot be used; the message names key and remedy."""


def _packaged(name: str) -> dict[str, Any]:
    return tomllib.loads(files("tbsnode.tbs").joinpath("data", name).read_text(encoding="utf-8"))


@lru_cache
def threshold_set(name: str) -> ThresholdSet:
    """Return a set of cut-offs by name.

    Parameters
    ----------
    name : str
        ``"A"`` or ``"B"``.

    Raises
    ------
    KeyError
        If there is none of that name.

    Examples
    --------
    They belong to TBS, and say nothing of a texture slope.

    >>> threshold_set("B").stated
    'B: 1.230 / 1.310'
    >>> threshold_set("B").category(1.25), threshold_set("B").touched(1.28, 1.33)
    ('partially_degraded', ('normal', 'partially_degraded'))
    """
    values = _packaged("thresholds.toml")[name]
    return ThresholdSet(
        name=name,
        degraded_at=values["degraded_at"],
        normal_above=values["normal_above"],
        normal_includes_cut_off=values["normal_includes_cut_off"],
        sexes=tuple(values["sexes"]),
        source=values["source"],
    )


@lru_cache
def reference_curve(path: Path | None = None) -> ReferenceCurve:
    """Return the packaged curve, or the site's own.

    Parameters
    ----------
    path : Path, optional
        TOML file of the same form as the packaged one.

    Raises
    ------
    ReferenceDataError
        If the file is missing, no TOML, or lacks something.

    Examples
    --------
    >>> curve = reference_curve()
    >>> curve.mean(50.0, "F") > curve.mean(70.0, "F")
    True
    """
    if path is None:
        return _curve(_packaged(_CURVE), _CURVE)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReferenceDataError(f"{path} cannot be read as TOML: {error}") from error
    return _curve(values, str(path))


def _curve(values: dict[str, Any], where: str) -> ReferenceCurve:
    missing = [key for key in (*_ORIGIN, "ages_years", "F", "M") if not values.get(key)]
    if missing:
        raise ReferenceDataError(f"{where} lacks {', '.join(missing)}: see the packaged file for the form.")
    try:
        low, high = (float(age) for age in values["ages_years"])
        curve = ReferenceCurve(
            name=str(values["name"]),
            source=str(values["source"]),
            population=str(values["population"]),
            ages_years=(low, high),
            coefficients=tuple((s, tuple(float(c) for c in values[s]["coefficients"])) for s in "FM"),
            sd=tuple((s, float(values[s]["sd"])) for s in "FM"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReferenceDataError(f"{where}: ages_years, coefficients and sd must be numbers.") from error
    if not (low < high and all(sd > 0 for _, sd in curve.sd)):
        raise ReferenceDataError(f"{where}: ages_years must ascend and sd be positive.")
    return curve


@lru_cache
def frax_coefficients() -> dict[str, Any]:
    """Return the packaged coefficients of the adjustment of a probability."""
    return _packaged("frax_adjustment.toml")
