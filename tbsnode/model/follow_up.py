"""Earlier examinations of the same patient, as far as they can be compared with this one."""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode.reasons import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorExamination:
    """One earlier examination.

    Attributes
    ----------
    study_instance_uid : str
        Which.
    examined_on : str
        ``YYYYMMDD``.
    age_years : float or None
        The patient's age then.
    score : float
        Mean texture slope of `levels`: measured again with today's estimator, unless `origin` is
        ``"own report"``.
    tbs : float or None
        Under today's calibration; None without one.
    levels : tuple of str
        Included levels.
    comparable : bool
        Same scanner, mode, spacing, estimator and levels; only such differences are stated.
    difference : float or None
        This examination's score less the earlier one's; None where not comparable.
    tbs_difference : float or None
        The same of the calibrated values.
    origin : str
        ``"archive"``, ``"pacs"`` or ``"own report"`` (an earlier structured report of ours whose image
        is no longer there: never comparable).
    """

    study_instance_uid: str
    examined_on: str
    age_years: float | None
    score: float
    tbs: float | None
    levels: tuple[str, ...]
    comparable: bool
    difference: float | None = None
    tbs_difference: float | None = None
    origin: str = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """The course of the score.

    Attributes
    ----------
    priors : tuple of PriorExamination
        Oldest first.
    lsc : float or None
        Least significant change of the texture slope, from the site's own precision study of this
        scanner and these levels; None without one: no change is interpreted.
    tbs_lsc : float or None
        The same on the scale of the calibrated value.
    findings : tuple of Finding
        Why earlier examinations are left out: `PRIOR_NOT_COMPARABLE`, `SCAN_MODE_CHANGED`,
        `PRIOR_IDENTITY`, `PRIORS_NOT_FETCHED`.
    """

    priors: tuple[PriorExamination, ...] = ()
    lsc: float | None = None
    tbs_lsc: float | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def last_comparable(self) -> PriorExamination | None:
        """The newest earlier examination that this one may be compared with."""
        return next((prior for prior in reversed(self.priors) if prior.comparable), None)
