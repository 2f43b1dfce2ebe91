"""What calibrations are made from: pairs of slope and licensed value, and the site's own examinations.

What the pairs tell of patients and pictures, and which of several examinations of one adult counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tbsnode.tbs.calibration import Limits, Person
from tbsnode.tbs.deming import Vector
from tbsnode.tbs.result import ImageStatistics

FEWEST_KNOWN = 30  # pairs that must tell something before a range or a test can rest on it
FEWEST_OF_A_SEX = 5  # fewer are no group to compare with
RANGE_PERCENT = (5.0, 95.0)
COVARIATES = ("bmi", "age_years", "sex")
RANGED = ("bmi", "age_years", *(field.name for field in fields(ImageStatistics)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One scan with both scores.

    Attributes
    ----------
    scan : str
        Names the scan (SOP Instance UID); a scan counts once.
    score, tbs : float
        Our mean slope, and the value of licensed software on the same scan and levels.
    bmi, age_years : float or None
        Of the patient.
    sex : str
        ``"M"`` or ``"F"``.
    statistics : ImageStatistics or None
        How the scored pixels look.
    standard_error : float or None
        Repeatability of `score`.

    Examples
    --------
    >>> Pair(scan="1.2.3", score=1.40, tbs=1.28, sex="F").person.value("sex")
    0.0
    """

    scan: str
    score: float
    tbs: float
    bmi: float | None = None
    age_years: float | None = None
    sex: str = ""
    statistics: ImageStatistics | None = None
    standard_error: float | None = None

    @property
    def person(self) -> Person:
        """The patient's covariates."""
        return Person(bmi=self.bmi, age_years=self.age_years, sex=self.sex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """One scan of one of the site's own people, without a licensed value.

    Attributes
    ----------
    scan : str
        Names the scan; the same picture has the same name, wherever it was stored.
    score : float
        Mean texture slope.
    age_years : float or None
        At the examination.
    subject : str
        Whose; empty where it is not known: then every scan stands for somebody else.
    taken_at : str
        DICOM date and time, YYYYMMDDHHMMSS or its beginning; empty counts as the earliest.

    Examples
    --------
    >>> Examination(scan="1.2.3", score=1.40, age_years=61.0, subject="P1").who
    ('subject', 'P1')
    """

    scan: str
    score: float
    age_years: float | None
    subject: str = ""
    taken_at: str = ""

    @property
    def who(self) -> tuple[str, str]:
        """What names the subject."""
        return ("subject", self.subject) if self.subject else ("scan", self.scan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """An examination that is left out because another one of the same scan or subject counts.

    Attributes
    ----------
    left_out, counted : int
        Places in the sequence given.
    same : str
        ``"scan"`` or ``"subject"``.
    """

    left_out: int
    counted: int
    same: str


def counted_once(examinations: Sequence[Examination]) -> tuple[tuple[int, ...], tuple[Repeat, ...]]:
    """Choose one examination a subject, the latest; a scan that is there twice is one.

    Parameters
    ----------
    examinations : sequence of Examination
        In any order; which scans count does not depend on it.

    Returns
    -------
    tuple of (tuple of int, tuple of Repeat)
        Places that count, ascending; and those that do not, each with the one that counts instead.

    Examples
    --------
    >>> def seen(scan, subject, year):
    ...     return Examination(scan=scan, subject=subject, taken_at=year, score=1.2, age_years=60.0)
    >>> counts, repeats = counted_once([seen("a", "P1", "2023"), seen("b", "P1", "2025"), seen("c", "", "")])
    >>> counts
    (1, 2)
    >>> repeats
    (Repeat(left_out=0, counted=1, same='subject'),)
    """
    by_scan: dict[str, int] = {}
    for place, each in enumerate(examinations):
        other = by_scan.setdefault(each.scan, place)
        if each.subject and not examinations[other].subject:
            by_scan[each.scan] = place  # the copy that says whose it is
    latest: dict[tuple[str, str], int] = {}
    for place in by_scan.values():
        each = examinations[place]
        other = latest.setdefault(each.who, place)
        if (each.taken_at, each.scan) > (examinations[other].taken_at, examinations[other].scan):
            latest[each.who] = place
    counts = tuple(sorted(latest.values()))
    repeats = []
    for place, each in enumerate(examinations):
        counted = latest[examinations[by_scan[each.scan]].who]
        if place != counted:
            same = "scan" if examinations[counted].scan == each.scan else "subject"
            repeats.append(Repeat(left_out=place, counted=counted, same=same))
    return counts, tuple(repeats)


def of_two_subjects(examinations: Sequence[Examination]) -> tuple[int, ...]:
    """Return the places of scans that are said to be of more than one subject."""
    subjects: dict[str, set[str]] = {}
    for each in examinations:
        subjects.setdefault(each.scan, set()).update({each.subject} - {""})
    return tuple(place for place, each in enumerate(examinations) if len(subjects[each.scan]) > 1)


def table(pairs: Sequence[Pair], names: Sequence[str]) -> Vector:
    """Return covariates as columns; shape (N, K), nan where one is not known."""
    columns = [[pair.person.value(name) for pair in pairs] for name in names]
    return np.array(columns, dtype=np.float64).T.reshape(len(pairs), len(names))


def testable(pairs: Sequence[Pair]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the covariates that every pair tells, and those that enough of them tell.

    Of both only such that vary; sex varies where there are at least `FEWEST_OF_A_SEX` of each.
    """
    whole: list[str] = []
    partly: list[str] = []
    for name in COVARIATES:
        values = table(pairs, [name])[:, 0]
        known = values[np.isfinite(values)]
        groups = np.unique(known, return_counts=True)[1]
        if known.size < FEWEST_KNOWN or groups.size < 2:
            continue
        if name == "sex" and groups.min() < FEWEST_OF_A_SEX:
            continue
        (whole if known.size == len(pairs) else partly).append(name)
    return tuple(whole), tuple(partly)


def limits_of(pairs: Sequence[Pair]) -> tuple[Limits, ...]:
    """Return the range of everything that enough pairs tell: 5th to 95th percentile.

    Where nearly all are of one sex, that sex is the range.
    """
    found = []
    for name in RANGED:
        known = np.array([value for value in (_told(pair, name) for pair in pairs) if value is not None])
        if known.size >= FEWEST_KNOWN:
            low, high = np.percentile(known, RANGE_PERCENT)
            found.append(Limits(covariate=name, low=float(low), high=float(high)))
    values = table(pairs, ["sex"])[:, 0]
    sexes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if counts.sum() >= FEWEST_KNOWN:
        enough = sexes[(counts >= FEWEST_OF_A_SEX) | (counts == counts.max())]
        found.append(Limits(covariate="sex", low=float(enough.min()), high=float(enough.max())))
    return tuple(found)


def ranges_known(limits: Sequence[Limits]) -> bool:
    """Tell whether a later examination can be compared with the pairs in everything."""
    return {limit.covariate for limit in limits} >= {*RANGED, "sex"}


def _told(pair: Pair, name: str) -> float | None:
    """Return what a pair tells of one property; None where it does not, or tells no number."""
    if name in ("bmi", "age_years"):
        value = pair.person.value(name)
    else:
        value = None if pair.statistics is None else float(getattr(pair.statistics, name))
    return value if value is not None and np.isfinite(value) else None
