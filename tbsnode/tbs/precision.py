"""The precision of a site's own measurements, from repeated scans of the same people.

Root mean square of the subjects' standard deviations, and the least significant change at 95 %
confidence, 2.77 times that (ISCD; C. C. Glueer et al., Osteoporos Int 5:262-270, 1995). A change is
interpreted only against a study of this scanner, made with this software.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy import special

from tbsnode.tbs.result import LABELS

DEGREES_NEEDED = 30
LSC_FACTOR = 2.77  # 1.96 x sqrt 2
LEVEL_SETS = tuple(each for size in (4, 3, 2) for each in combinations(LABELS, size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan of a repeated measurement.

    Attributes
    ----------
    subject : str
        A pseudonym; scans of one subject belong together.
    scores : Mapping of str to float
        Slope of each included level.
    day : str
        ``YYYYMMDD``.

    Examples
    --------
    >>> Scan(subject="S1", scores={"L1": 1.31, "L2": 1.35}, day="20261101").scores["L2"]
    1.35
    """

    subject: str
    scores: Mapping[str, float]
    day: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSet:
    """Precision of the mean of some levels.

    Attributes
    ----------
    levels : tuple of str
        Which.
    subjects, degrees : int
        People with at least two scans, and degrees of freedom (scans less people).
    rms_sd, cv_percent : float
        Root mean square of the standard deviations, and of the coefficients of variation.
    upper_95 : float
        The RMS-SD is below this with 95 % confidence (chi-square).
    lsc : float or None
        Least significant change; None below 30 degrees of freedom.
    """

    levels: tuple[str, ...]
    subjects: int
    degrees: int
    rms_sd: float
    cv_percent: float
    upper_95: float
    lsc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A precision study.

    Attributes
    ----------
    sets : tuple of LevelSet
        L1-L4, then every set of three and of two levels that anybody had twice.
    same_day : int
        Subjects whose scans were all made on one day: without days between them, repositioning is
        all that differs.
    """

    sets: tuple[LevelSet, ...]
    same_day: int

    def of(self, levels: Sequence[str]) -> LevelSet | None:
        """Return the precision of a set of levels, None where the study does not have it."""
        return next((each for each in self.sets if each.levels == tuple(levels)), None)

    @property
    def is_enough(self) -> bool:
        """Whether the study has 30 degrees of freedom for L1-L4."""
        whole = self.of(LABELS)
        return whole is not None and whole.lsc is not None


def fit(scans: Iterable[Scan]) -> Precision:
    """Compute precision for every set of levels.

    Parameters
    ----------
    scans : iterable of Scan
        At least two of each subject, with repositioning between them; 30 subjects twice or 15 three
        times give 30 degrees of freedom.

    Returns
    -------
    Precision
        Least significant changes only where 30 degrees of freedom stand behind them.

    Examples
    --------
    >>> pairs = [(1.20, 1.22), (1.30, 1.28)]
    >>> scans = [Scan(subject=str(i), scores={"L1": a, "L2": a}) for i, p in enumerate(pairs) for a in p]
    >>> round(fit(scans).of(("L1", "L2")).rms_sd, 6)
    0.014142
    """
    people: dict[str, list[Scan]] = {}
    for scan in scans:
        people.setdefault(scan.subject, []).append(scan)
    sets = (_of_levels(levels, people.values()) for levels in LEVEL_SETS)
    days = [{scan.day for scan in each} for each in people.values() if len(each) > 1]
    return Precision(
        sets=tuple(each for each in sets if each is not None),
        same_day=sum(len(each) == 1 and "" not in each for each in days),
    )


def _of_levels(levels: tuple[str, ...], people: Iterable[Sequence[Scan]]) -> LevelSet | None:
    squares, relative, degrees, subjects = 0.0, 0.0, 0, 0
    for scans in people:
        means = [
            math.fsum(scan.scores[level] for level in levels) / len(levels)
            for scan in scans
            if all(level in scan.scores for level in levels)
        ]
        if len(means) < 2:
            continue
        center = math.fsum(means) / len(means)
        around = math.fsum((value - center) ** 2 for value in means)
        squares += around
        relative += around / center**2
        degrees += len(means) - 1
        subjects += 1
    if not degrees:
        return None
    rms_sd = math.sqrt(squares / degrees)
    return LevelSet(
        levels=levels,
        subjects=subjects,
        degrees=degrees,
        rms_sd=rms_sd,
        cv_percent=100.0 * math.sqrt(relative / degrees),
        upper_95=rms_sd * math.sqrt(degrees / float(special.chdtri(degrees, 0.95))),
        lsc=LSC_FACTOR * rms_sd if degrees >= DEGREES_NEEDED else None,
    )
