"""What the scanner's own T- and Z-scores say: the diagnosis rests on the lowest site.

Nothing is recomputed: the scanner's numbers are taken with their source, and judged in tenths, as they
are printed. ISCD adult positions 2019:
T-scores for postmenopausal women and men from 50 on, Z-scores for everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SITES = ("spine", "total_hip", "femoral_neck", "one_third_radius")
HIP_SITES = ("total_hip", "femoral_neck")
OSTEOPOROSIS_AT = -2.5
LOW_BELOW = -1.0
Z_LOW_AT = -2.0


class Diagnosis(StrEnum):
    """What the lowest site says."""

    NORMAL = "normal"
    LOW_BONE_MASS = "low_bone_mass"
    OSTEOPOROSIS = "osteoporosis"
    WITHIN_EXPECTED = "within_expected_range_for_age"
    BELOW_EXPECTED = "below_expected_range_for_age"
    SPINE_ONLY = "spine_only"  # no hip: not a diagnosis of bone density
    NO_HIP = "no_hip"  # the same, where a forearm is known
    NOT_AVAILABLE = "not_available"


WITHOUT_HIP = (Diagnosis.SPINE_ONLY, Diagnosis.NO_HIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteScore:
    """One site's scores as the scanner states them; `site` is one of `SITES`."""

    site: str
    t_score: float | None = None
    z_score: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BmdDiagnosis:
    """The diagnosis with the site that decides it.

    Attributes
    ----------
    diagnosis : Diagnosis
        What may be said.
    site : str
        The lowest site; empty where none decides.
    score : float or None
        Its T- or Z-score.
    uses_z_score : bool
        True for people whom T-scores are not for.
    """

    diagnosis: Diagnosis
    site: str = ""
    score: float | None = None
    uses_z_score: bool = False


def uses_t_scores(sex: str, age_years: float | None, menopausal_status: str = "") -> bool:
    """Tell whether T-scores are for this person.

    Examples
    --------
    >>> uses_t_scores("F", 47.0), uses_t_scores("F", 47.0, "post"), uses_t_scores("M", 50.0)
    (False, True, True)
    """
    if age_years is None or sex not in ("F", "M"):
        return False
    if sex == "F" and menopausal_status in ("post", "pre"):
        return menopausal_status == "post"
    return age_years >= 50.0


def diagnose(
    scores: Iterable[SiteScore], *, sex: str, age_years: float | None, menopausal_status: str = ""
) -> BmdDiagnosis:
    """Return what the lowest of the sites says.

    Parameters
    ----------
    scores : iterable of SiteScore
        Spine (L1-L4), total hip, femoral neck and, if sent, one-third radius.
    sex, age_years, menopausal_status
        Of the patient.

    Returns
    -------
    BmdDiagnosis
        Without a hip only `SPINE_ONLY` or `NO_HIP`: "not a BMD diagnosis".
    """
    seen = [score for score in scores if score.site in SITES]
    with_z = not uses_t_scores(sex, age_years, menopausal_status)
    pairs = [(each.z_score if with_z else each.t_score, each.site) for each in seen]
    known = [(value, site) for value, site in pairs if value is not None]
    if not known:
        return BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE, uses_z_score=with_z)
    lowest, site = min(known, key=lambda pair: (pair[0], SITES.index(pair[1])))
    where = {site for _, site in known}
    if where.isdisjoint(HIP_SITES):
        said = Diagnosis.SPINE_ONLY if where == {"spine"} else Diagnosis.NO_HIP
    else:
        said = _by_z(lowest) if with_z else _by_t(lowest)
    return BmdDiagnosis(diagnosis=said, site=site, score=lowest, uses_z_score=with_z)


def in_tenths(score: float) -> float:
    """Return a T- or Z-score as it is printed, by which it is judged: nobody reads "osteopenia, -2.5".

    ISCD adult positions 2019, "DXA reporting": one decimal for both.

    Examples
    --------
    >>> in_tenths(-2.46), in_tenths(-2.44), in_tenths(-1.04)
    (-2.5, -2.4, -1.0)
    """
    return float(f"{score:.1f}")


def is_osteoporotic(t_score: float) -> bool:
    """Tell whether a T-score, as printed, is -2.5 or lower."""
    return in_tenths(t_score) <= OSTEOPOROSIS_AT


def _by_t(score: float) -> Diagnosis:
    if is_osteoporotic(score):
        return Diagnosis.OSTEOPOROSIS
    return Diagnosis.LOW_BONE_MASS if in_tenths(score) < LOW_BELOW else Diagnosis.NORMAL


def _by_z(score: float) -> Diagnosis:
    return Diagnosis.BELOW_EXPECTED if in_tenths(score) <= Z_LOW_AT else Diagnosis.WITHIN_EXPECTED
