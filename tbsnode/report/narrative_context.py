"""The interpretation's sentences about what stands around the value: density, declared factors, change.

Nothing is computed here. A fracture probability stands as it was supplied, and beside it what the
adjustment made of it; a change is held against the least significant one, and says nothing of its cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.model import Factor
from tbsnode.model.clinical import FRACTURE_SITES
from tbsnode.reasons import Code
from tbsnode.report import decision_known, facts
from tbsnode.report.narrative_words import decimals_beside, fixed, percent, plain, short, signed
from tbsnode.tbs.bone_density import WITHOUT_HIP, Diagnosis, is_osteoporotic

if TYPE_CHECKING:
    from tbsnode.model import Analysis, ClinicalContext, FollowUp
    from tbsnode.report.narrative_words import Words
    from tbsnode.tbs.frax import Adjusted, Adjustment, Supplied

# FRAX takes it to act through bone density: with one entered it adds nothing
NOT_INDEPENDENT = (Factor.SECONDARY_OSTEOPOROSIS,)
USUAL_DOSE_MG_DAY = (2.5, 7.5)  # what FRAX assumes; Kanis et al., Osteoporos Int 2011;22:809
CLASS_RANK = {"normal": 0, "partially_degraded": 1, "degraded": 2}
BMD_RANK = {Diagnosis.NORMAL: 0, Diagnosis.LOW_BONE_MASS: 1, Diagnosis.OSTEOPOROSIS: 2}
NO_TREND = (
    (Code.PRIOR_IDENTITY, "trend_identity"),
    (Code.PRIOR_NOT_COMPARABLE, "trend_not_comparable"),
    (Code.SCAN_MODE_CHANGED, "trend_not_comparable"),
    (Code.PRIORS_NOT_FETCHED, "trend_not_fetched"),
)


def sentences(analysis: Analysis, words: Words) -> list[str]:
    """Return the sentences in the order in which a physician asks: density, factors, probability, change."""
    declared = analysis.clinical
    return [
        _density(analysis, words),
        decision_known.spine_doubt(analysis, language=words.language),
        *_declared(analysis, words),
        *_probability(analysis, words),
        *(_blind_spots(declared, words) if declared and declared.frax else ()),
        _trend(analysis, words),
    ]


# ---- bone density -------------------------------------------------------------------------------


def _density(analysis: Analysis, words: Words) -> str:
    found = analysis.bmd_diagnosis
    if found is None or found.score is None or found.diagnosis is Diagnosis.NOT_AVAILABLE:
        return ""
    score = fixed(found.score, 1)
    kind = "_z" if found.uses_z_score else ""
    site = words.say(f"site_{found.site}")
    relation = "" if found.uses_z_score else _relation(analysis, words)
    if found.diagnosis in WITHOUT_HIP:
        return words.say(f"{found.diagnosis}{kind}", score=score, site=site, relation=relation)
    diagnosis = words.say(f"diagnosis_{found.diagnosis}")
    return words.say(f"bmd{kind}", diagnosis=diagnosis, score=score, site=site, relation=relation)


def _relation(analysis: Analysis, words: Words) -> str:
    """Say how texture and density compare; density alone makes the diagnosis."""
    found = analysis.bmd_diagnosis
    names = analysis.borderline or ((analysis.category,) if analysis.category else ())
    if analysis.tbs is None or found is None or found.score is None or not names:
        return ""
    low = analysis.category == "degraded" and not is_osteoporotic(found.score)
    if found.diagnosis not in BMD_RANK:  # without a hip: no diagnosis to compare with
        return words.say("risk") if low else ""
    signs = {_sign(CLASS_RANK[name] - BMD_RANK[found.diagnosis]) for name in names}
    if len(signs) > 1:
        return words.say("open")
    worse = "worse_risk" if low else "worse"
    return words.say({0: "concordant", 1: worse, -1: "better"}[signs.pop()])


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


# ---- declared factors ---------------------------------------------------------------------------


def _declared(analysis: Analysis, words: Words) -> list[str]:
    declared = analysis.clinical
    if declared is None:
        return []
    independent = [f for f in _present(declared) if f not in NOT_INDEPENDENT]
    others = [f for f in _present(declared) if f in NOT_INDEPENDENT]
    said = []
    if independent:
        fractures = len(declared.fracture_sites) if Factor.PREVIOUS_FRACTURE in independent else 0
        number = "several" if len(independent) > 1 or fractures > 1 else "one"
        named = _named(independent, declared, words)
        said.append(words.say(f"declared_{number}", factors=named, tbs=_not_canceled(analysis, words)))
    if others:
        key = "declared_also" if independent else "declared_only"
        said.append(words.say(key, factors=_named(others, declared, words)))
    if Factor.TYPE_2_DIABETES in independent and not declared.frax:
        said.append(words.say("declared_diabetes"))
    return said


def _not_canceled(analysis: Analysis, words: Words) -> str:
    """Say that no texture takes a declared risk away; without a TBS no class is named."""
    if analysis.tbs is None:
        return ""
    return words.say("declared_class_normal" if analysis.category == "normal" else "declared_class_other")


def _present(declared: ClinicalContext) -> tuple[Factor, ...]:
    return tuple(factor for factor in Factor if factor in declared.present)


def _named(factors: list[Factor], declared: ClinicalContext, words: Words) -> str:
    return words.both([_factor(factor, declared, words) for factor in factors])


def _factor(factor: Factor, declared: ClinicalContext, words: Words) -> str:
    if factor is Factor.PREVIOUS_FRACTURE:
        known = [site for site in FRACTURE_SITES if site in declared.fracture_sites]
        known = ["unknown"] if known in ([], ["other"]) else known
        several = "declared_previous_fractures" if len(known) > 1 else "declared_previous_fracture"
        return words.say(several, site=words.both([words.say(f"declared_site_{site}") for site in known]))
    dose = declared.glucocorticoid_mg_day
    if factor is Factor.GLUCOCORTICOIDS and dose is not None:
        return words.say("declared_glucocorticoids_dose", dose=f"{dose:g}")
    return words.say(f"declared_{factor}")


# ---- supplied probability -----------------------------------------------------------------------


def _probability(analysis: Analysis, words: Words) -> list[str]:
    supplied = analysis.clinical.frax if analysis.clinical else None
    if supplied is None:
        return [words.say("frax_not_supplied")] if analysis.tbs is not None else []
    return [
        words.say(
            "frax_supplied",
            bmd=words.say("frax_with_bmd" if supplied.with_bmd else "frax_without_bmd"),
            source=_source(supplied, words),
            major=percent(supplied.major_percent),
            hip=percent(supplied.hip_percent),
            adjusted=_adjusted(analysis, words),
        )
    ]


def _source(supplied: Supplied, words: Words) -> str:
    model = plain(supplied.country_model)
    parts = [
        plain(supplied.source),
        words.say("frax_model", model=model) if model else "",
        facts.date(plain(supplied.calculated_on)),
    ]
    known = ", ".join(part for part in parts if part)
    return words.say("frax_source", source=known) if known else ""


def _adjusted(analysis: Analysis, words: Words) -> str:
    made = analysis.frax
    if analysis.tbs is None:
        return words.say("frax_not_adjusted", why=words.say("frax_no_tbs"))
    if made is None:
        return words.say("frax_not_adjusted", why=words.say("frax_switched_off"))
    if made.major is None or made.hip is None:
        why = str(dict(made.finding.values).get("detail", "")) if made.finding else ""
        return words.say("frax_not_adjusted", why=why or words.say("no_class_unknown"))
    return words.say(
        "frax_adjusted",
        major=percent(made.major.after_percent),
        major_range=_range(made.major),
        hip=percent(made.hip.after_percent),
        hip_range=_range(made.hip),
        limited=_limited(made, words),
    )


def _limited(made: Adjustment, words: Words) -> str:
    """Say at which age it was calculated, where that is not the patient's."""
    known = dict(made.finding.values) if made.finding else {}
    ages = [
        words.say(f"frax_{kind}_at", years=short(float(known[f"{kind}_years"])))
        for kind in ("major", "hip")
        if f"{kind}_years" in known
    ]
    return words.say("frax_limited", ages=words.both(ages)) if ages else ""


def _range(adjusted: Adjusted) -> str:
    return f"{percent(adjusted.low_percent)}-{percent(adjusted.high_percent)}"


def _blind_spots(declared: ClinicalContext, words: Words) -> list[str]:
    """Say what of the declared the probability does not know."""
    present, dose = _present(declared), declared.glucocorticoid_mg_day
    gaps = []
    if Factor.GLUCOCORTICOIDS in present and dose is None:
        gaps.append(words.say("frax_blind_dose"))
    if Factor.FALLS in present:
        gaps.append(words.say("frax_blind_falls"))
    if {Factor.PREVIOUS_FRACTURE, Factor.RECENT_FRACTURE} & set(present):
        gaps.append(words.say("frax_blind_recency"))
    # "dose", then "for falls", then "for how recent": a list of clauses repeats its preposition
    listed = words.either([*gaps[:1], *(words.say("frax_blind_for", gap=gap) for gap in gaps[1:])])
    said = [words.say("declared_diabetes_frax")] if Factor.TYPE_2_DIABETES in present else []
    if gaps:
        said.append(words.say("frax_blind", gaps=listed))
    if Factor.GLUCOCORTICOIDS in present and dose is not None:
        said.append(_dose(dose, words))
    return said


def _dose(dose_mg_day: float, words: Words) -> str:
    low, high = USUAL_DOSE_MG_DAY
    if low <= dose_mg_day < high:
        return ""
    key = "frax_dose_below" if dose_mg_day < low else "frax_dose_above"
    return words.say(key, dose=f"{dose_mg_day:g}")


# ---- earlier examinations -----------------------------------------------------------------------


def _trend(analysis: Analysis, words: Words) -> str:
    follow_up = analysis.follow_up
    if follow_up is None:
        return ""
    prior = follow_up.last_comparable
    if prior is None:
        return _no_trend(follow_up, words)
    key, difference, lsc = "trend_slope", prior.difference, follow_up.lsc
    if analysis.tbs is not None and prior.tbs_difference is not None:
        key, difference, lsc = "trend_tbs", prior.tbs_difference, follow_up.tbs_lsc
    if difference is None:
        return ""
    decimals = decimals_beside(difference, lsc)
    if lsc is None:
        judged = words.say("trend_unjudged")
    else:
        exceeds = abs(difference) > lsc
        judged = words.say("trend_exceeds" if exceeds else "trend_within", lsc=fixed(lsc, decimals))
    change = signed(difference, decimals)
    return words.say(key, change=change, date=facts.date(prior.examined_on), judged=judged)


def _no_trend(follow_up: FollowUp, words: Words) -> str:
    codes = {finding.code for finding in follow_up.findings}
    found = next((key for code, key in NO_TREND if code in codes), None)
    if found is None and follow_up.priors:
        found = "trend_not_comparable"
    return words.say(found) if found else ""
