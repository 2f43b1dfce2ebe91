"""Fracture probabilities and declared risk factors: inputs, coded as such, with who states them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tbsnode.dicom import codes, content, uids
from tbsnode.dicom import codes_clinical as clinical
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.content import CONCEPT_MODIFIER, OBSERVATION_CONTEXT, Item
from tbsnode.model import Analysis, ClinicalContext, Report
from tbsnode.reasons import Code
from tbsnode.tbs.frax import Adjusted

LABEL = "Fracture risk"


def groups(report: Report) -> Iterator[Item]:
    """Yield one group (TID 1501) with every number that was declared or adjusted, if there is one."""
    numbers = list(_numbers(report.analysis))
    if not numbers:
        return
    study = report.source.study_instance_uid
    head = (
        content.text(codes.TRACKING_IDENTIFIER, LABEL, OBSERVATION_CONTEXT),
        content.uid_reference(codes.TRACKING_UID, uids.tracking_uid(study, LABEL), OBSERVATION_CONTEXT),
        content.code(codes.FINDING, codes.BONE),
    )
    yield content.container(codes.MEASUREMENT_GROUP, [*head, *numbers], template="1501")


def _numbers(analysis: Analysis) -> Iterator[Item]:
    declared = analysis.clinical
    if declared is not None and declared.frax is not None:
        yield content.number(clinical.FRAX_MAJOR, declared.frax.major_percent, codes.PERCENT)
        yield content.number(clinical.FRAX_HIP, declared.frax.hip_percent, codes.PERCENT)
        with_bmd = codes.YES if declared.frax.with_bmd else codes.NO
        yield content.code(clinical.FRAX_WITH_BMD, with_bmd)
    yield from _adjusted(analysis)
    if declared is not None and declared.glucocorticoid_mg_day is not None:
        dose = declared.glucocorticoid_mg_day
        yield content.number(clinical.GLUCOCORTICOID_DOSE, dose, codes.MILLIGRAMS_PER_DAY)


def _adjusted(analysis: Analysis) -> Iterator[Item]:
    if analysis.frax is None or analysis.tbs is None:  # nothing is adjusted for what is not known
        return
    for made, (concept, low, high) in (
        (
            analysis.frax.major,
            (clinical.FRAX_MAJOR_TBS, clinical.FRAX_MAJOR_TBS_LOW, clinical.FRAX_MAJOR_TBS_HIGH),
        ),
        (analysis.frax.hip, (clinical.FRAX_HIP_TBS, clinical.FRAX_HIP_TBS_LOW, clinical.FRAX_HIP_TBS_HIGH)),
    ):
        if made is None:
            yield content.no_number(concept, codes.NOT_ATTEMPTED)
        else:
            yield from _interval(made, concept, low, high)
    limited = analysis.frax.finding
    if limited is not None and limited.code is Code.FRAX_AGE_LIMITED:
        yield content.code(codes.QUALITY_FINDING, codes.of_code(limited.code))


def _interval(made: Adjusted, concept: Concept, low: Concept, high: Concept) -> Iterator[Item]:
    estimate = content.code(codes.DERIVATION, clinical.RESEARCH_ESTIMATE, CONCEPT_MODIFIER)
    yield content.number(concept, made.after_percent, codes.PERCENT, [estimate])
    yield content.number(low, made.low_percent, codes.PERCENT, [estimate])
    yield content.number(high, made.high_percent, codes.PERCENT, [estimate])


def declared(said: ClinicalContext | None) -> Iterator[Item]:
    """Yield declared factors, present and absent; the rest is unknown."""
    if said is None:
        return
    for factor in said.present:
        yield content.code(clinical.FACTORS[factor], codes.PRESENT)
    for factor in said.absent:
        yield content.code(clinical.FACTORS[factor], codes.ABSENT)
    for site in said.fracture_sites:
        yield content.code(clinical.FRACTURE_SITE, clinical.FRACTURE_SITES[site])
    if said.menopausal_status in clinical.MENOPAUSAL:
        yield content.code(clinical.MENOPAUSE, clinical.MENOPAUSAL[said.menopausal_status])


def sources(said: ClinicalContext | None, encodings: Sequence[str]) -> Iterator[Item]:
    """Yield who declared the context, and who states the probability."""
    if said is None:
        return
    stated = [(clinical.DECLARED_BY, said.source)]
    if said.frax is not None:
        stated += [
            (clinical.FRAX_SOURCE, said.frax.source),
            (clinical.FRAX_COUNTRY, said.frax.country_model),
            (clinical.FRAX_DATE, said.frax.calculated_on),
        ]
    for concept, value in stated:
        if value:
            yield content.words(concept, value, encodings)


def written(said: ClinicalContext | None) -> Iterator[str]:
    """Yield every word that a person wrote, for the choice of a character set."""
    if said is None:
        return
    yield said.source
    if said.frax is not None:
        yield from (said.frax.source, said.frax.country_model, said.frax.calculated_on)
