"""What is known around the number, in words: densities, declared factors, supplied probabilities."""

from __future__ import annotations

from tbsnode import text
from tbsnode.model import Analysis, ClinicalContext, Factor, Report, SourcedSite, densitometry
from tbsnode.reasons import Code
from tbsnode.report import facts
from tbsnode.report.narrative_words import percent, signed
from tbsnode.tbs.bone_density import WITHOUT_HIP, Diagnosis, is_osteoporotic
from tbsnode.tbs.result import LABELS

SITE_ORDER = ("total_hip", "femoral_neck", "one_third_radius")
FRAGILE_SITES = ("hip", "vertebra")  # no texture class outweighs a fracture there
DOUBTFUL_DENSITY = (  # why a level is left out that its density should be, too
    Code.HIGH_DENSITY,
    Code.REDUCED_HEIGHT,
    Code.LEVEL_FUSED,
    Code.MOVEMENT,
    Code.LEVEL_CUT,
    Code.EXCLUDED_BY_REVIEWER,
)
SOURCES = {
    "private results text": "source_scanner_text",
    "structured report": "source_scanner_report",
    "import": "source_import",
}


def sites(analysis: Analysis) -> tuple[SourcedSite, ...]:
    """Return the sites of page 1: the spine, hip and forearm.

    Of the spine the sum that the diagnosis rests on, its levels where there is none.
    """
    known = analysis.bone_densities
    whole = densitometry.spine_of(known)
    spine = [whole] if whole else [each for each in known if each.result.site in LABELS]
    rest = [each for each in known if "-" not in each.result.site and each.result.site not in LABELS]
    return (*spine, *sorted(rest, key=_place))


def _place(sourced: SourcedSite) -> tuple[int, str, str]:
    site = sourced.result.site
    return SITE_ORDER.index(site) if site in SITE_ORDER else len(SITE_ORDER), site, sourced.result.side


def site_name(sourced: SourcedSite, *, language: str = "en") -> str:
    """Name a site with its side."""
    site, side = sourced.result.site, sourced.result.side
    if site in SITE_ORDER:
        name = text.phrase(f"site_{site}", language=language)
    elif site[:2] in LABELS:
        name = text.phrase("site_levels", language=language, levels=site)
    else:
        name = site.replace("_", " ")
    if side in ("left", "right"):
        side = text.phrase(f"side_{side}", language=language)
    return f"{name}, {side}" if side else name


def source_name(source: str, *, language: str = "en") -> str:
    """Say shortly where a density was read."""
    return text.phrase(SOURCES[source], language=language) if source in SOURCES else source


def diagnosis(analysis: Analysis, *, language: str = "en") -> str:
    """Say what the densities say, with the site that decides; empty where nothing is known."""
    found = analysis.bmd_diagnosis
    if found is None or found.diagnosis is Diagnosis.NOT_AVAILABLE:
        return ""
    words = text.phrase(f"diagnosis_{found.diagnosis.value}", language=language)
    if found.score is None or not found.site or found.diagnosis in WITHOUT_HIP:
        return words
    key = "diagnosis_with_z" if found.uses_z_score else "diagnosis_with_t"
    site = text.phrase(f"site_{found.site}", language=language)
    return text.phrase(key, language=language, diagnosis=words, score=signed(found.score, 1), site=site)


def spine_doubt(analysis: Analysis, *, language: str = "en") -> str:
    """Name the levels that are left out here and counted in the density of the spine; else nothing.

    Cement, a crushed or a fused level raise the density of a sum: a low one behind it is missed.
    """
    spine = densitometry.spine_of(analysis.bone_densities)
    if spine is None or analysis.bmd_diagnosis is None:
        return ""
    first, last = (LABELS.index(label) for label in spine.result.site.split("-"))
    doubted = [
        each.label
        for each in analysis.vertebrae
        if each.excluded
        and each.excluded.code in DOUBTFUL_DENSITY
        and first <= LABELS.index(each.label) <= last
    ]
    if not doubted:
        return ""
    named = text.join(doubted, language=language)
    return text.phrase("bmd_includes", language=language, sum=spine.result.site, levels=named)


def diagnosis_sentence(analysis: Analysis, *, language: str = "en") -> str:
    """Say the diagnosis below the table that prints the deciding site bold; empty without densities."""
    found = analysis.bmd_diagnosis
    if found is None:
        return ""
    unknown_z = found.diagnosis is Diagnosis.NOT_AVAILABLE and found.uses_z_score
    said = text.phrase(f"diagnosis_{found.diagnosis}{'_z' if unknown_z else ''}", language=language)
    if found.diagnosis in (*WITHOUT_HIP, Diagnosis.NOT_AVAILABLE):
        whole = f"{said}."
    else:
        key = "bmd_diagnosis_z" if found.uses_z_score else "bmd_diagnosis_t"
        whole = text.phrase(key, language=language, diagnosis=said)
    return " ".join(filter(None, [whole, spine_doubt(analysis, language=language)]))


def row(sourced: SourcedSite, *, language: str = "en") -> tuple[str, ...]:
    """Return site, density, T-score, Z-score and source as the table of page 1 writes them."""
    result = sourced.result
    scores = (result.t_score, result.z_score)
    return (
        site_name(sourced, language=language),
        "-" if result.bmd_g_cm2 is None else f"{result.bmd_g_cm2:.3f}",
        *("-" if score is None else signed(score, 1) for score in scores),
        source_name(sourced.source, language=language),
    )


def deciding(analysis: Analysis) -> SourcedSite | None:
    """Return the site that the diagnosis rests on, of two sides the lower one; None where none decides.

    It is not always the lowest of the table: a single level decides nothing.
    """
    found = analysis.bmd_diagnosis
    spine = densitometry.spine_of(analysis.bone_densities)
    scored = [
        (score, each)
        for each in sites(analysis)
        if found is not None
        and found.site == ("spine" if each == spine else each.result.site)
        and (score := _score(analysis, each)) is not None
    ]
    return min(scored, key=lambda pair: pair[0])[1] if scored else None


def lowest(analysis: Analysis) -> SourcedSite | None:
    """Return the site with the lowest T-score, the lowest Z-score for people whom T-scores are not for."""
    scored = [(score, each) for each in sites(analysis) if (score := _score(analysis, each)) is not None]
    return min(scored, key=lambda pair: pair[0])[1] if scored else None


def _score(analysis: Analysis, sourced: SourcedSite) -> float | None:
    found = analysis.bmd_diagnosis
    with_z = found is not None and found.uses_z_score
    return sourced.result.z_score if with_z else sourced.result.t_score


def overrides(analysis: Analysis, *, language: str = "en") -> list[str]:
    """Say what stands whatever the texture: an earlier fracture of hip or vertebra, a T-score of -2.5."""
    said = []
    fragile = [
        site for site in FRAGILE_SITES if analysis.clinical and site in analysis.clinical.fracture_sites
    ]
    if fragile:
        named = text.join([text.phrase(f"fracture_{site}", language=language) for site in fragile])
        said.append(text.phrase("override_fracture", language=language, sites=named))
    found, with_z = lowest(analysis), analysis.bmd_diagnosis and analysis.bmd_diagnosis.uses_z_score
    score = found.result.t_score if found is not None and not with_z else None
    if found is not None and score is not None and is_osteoporotic(score):
        site = site_name(found, language=language)
        said.append(text.phrase("override_t_score", language=language, score=signed(score, 1), site=site))
    return said


def may_be_colored(report: Report) -> bool:
    """Tell whether a class may be drawn in green, amber or red: not beside a fracture or a T-score of -2.5.

    An earlier fracture whose place is not declared may have been one of hip or vertebra.
    """
    analysis, declared = report.analysis, report.analysis.clinical
    if declared is not None:
        fractured = {Factor.PREVIOUS_FRACTURE, Factor.RECENT_FRACTURE} & set(declared.present)
        if set(FRAGILE_SITES) & set(declared.fracture_sites) or (fractured and not declared.fracture_sites):
            return False
    scores = (each.result.t_score for each in analysis.bone_densities)
    if any(score is not None and is_osteoporotic(score) for score in scores):
        return False
    return not facts.alerts(report)


def declared(analysis: Analysis, *, language: str = "en") -> list[str]:
    """Say which factors were declared as present and as absent, and by whom."""
    context = analysis.clinical
    if context is None or not (context.present or context.absent or context.menopausal_status):
        return [text.phrase("declared_nothing", language=language)]
    said = []
    present = [_factor(factor, context, language) for factor in context.present]
    if context.menopausal_status in ("post", "pre"):
        key = f"declared_{context.menopausal_status}menopausal"
        present.append(text.phrase(key, language=language))
    for key, factors in (
        ("declared_present", present),
        ("declared_absent", [text.phrase(f"declared_{f.value}", language=language) for f in context.absent]),
    ):
        if factors:
            said.append(text.phrase(key, language=language, factors=", ".join(factors)))
    if set(Factor) - set(context.present) - set(context.absent):
        said.append(text.phrase("declared_unknown", language=language))
    said.append(text.phrase("declared_source", language=language, source=context.source))
    return said


def _factor(factor: Factor, context: ClinicalContext, language: str) -> str:
    name = text.phrase(f"declared_{factor.value}", language=language)
    detail = ""
    if factor is Factor.PREVIOUS_FRACTURE:
        named = [text.phrase(f"fracture_{site}", language=language) for site in context.fracture_sites]
        detail = text.join(named, language=language)
    elif factor is Factor.GLUCOCORTICOIDS and context.glucocorticoid_mg_day is not None:
        dose = f"{context.glucocorticoid_mg_day:g}"
        detail = text.phrase("declared_dose", language=language, dose=dose)
    return text.phrase("declared_detail", language=language, factor=name, detail=detail) if detail else name


def probability(analysis: Analysis, *, language: str = "en") -> list[str]:
    """Say the fracture probability as supplied, with its source, and what became of it."""
    supplied = analysis.clinical.frax if analysis.clinical else None
    if supplied is None:
        return [text.phrase("supplied_not", language=language)]
    bmd = "supplied_with_bmd" if supplied.with_bmd else "supplied_without_bmd"
    parts = (supplied.source, supplied.country_model, facts.date(supplied.calculated_on))
    said = [
        text.phrase(
            "supplied_frax",
            language=language,
            bmd=text.phrase(bmd, language=language),
            source=", ".join(p for p in parts if p) or text.phrase("not_stated", language=language),
            major=percent(supplied.major_percent),
            hip=percent(supplied.hip_percent),
        )
    ]
    made = analysis.frax
    if made is not None and made.major is not None and made.hip is not None:
        numbers = {
            name: percent(value)
            for kind, one in (("major", made.major), ("hip", made.hip))
            for name, value in (
                (kind, one.after_percent),
                (f"{kind}_low", one.low_percent),
                (f"{kind}_high", one.high_percent),
            )
        }
        said.append(text.phrase("supplied_adjusted", language=language, **numbers))
    if made is not None and made.finding is not None:
        said.append(text.sentence(made.finding, language=language))
    return said
