"""From a measured result to one in its context: densities, declared factors, probability, follow-up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.model import AnalysisStatus, FollowUp
from tbsnode.pipeline import bone_results, interpret, priors
from tbsnode.tbs import frax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import Analysis
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.site import Site
    from tbsnode.store.records import InstanceRow, StudyRow
    from tbsnode.tbs.frax import Adjustment


def in_context(
    site: Site,
    study: StudyRow,
    current: Sequence[InstanceRow],
    analysis: Analysis,
    settings: AnalysisSettings,
) -> Analysis:
    """Add to the reported result what stands around it; the measurement is never changed.

    Parameters
    ----------
    site : Site
        Archive, database and policy.
    study : StudyRow
        The study.
    current : sequence of InstanceRow
        Its current instances.
    analysis : Analysis
        The reported result.
    settings : AnalysisSettings
        Those that it was made with, for earlier examinations.
    """
    known = analysis.densitometry
    others = [
        results
        for results in bone_results.all_results(site, current)
        if known is None or results.sop_instance_uid != known.sop_instance_uid
    ]
    made = replace(analysis, other_densitometry=tuple(others), clinical=settings.clinical)
    made = replace(made, bmd_diagnosis=interpret.diagnosis_of(made))
    if made.status is not AnalysisStatus.SCORED:
        return made
    if site.policy.frax_adjustment:
        made = replace(made, frax=adjustment_of(made))
    # looked for in any case: an empty course says that no earlier examination is known
    return replace(made, follow_up=priors.follow_up(site, study, made, settings) or FollowUp())


def adjustment_of(analysis: Analysis) -> Adjustment | None:
    """Adjust a supplied probability for a calibrated value; None where either is missing."""
    supplied = analysis.clinical.frax if analysis.clinical else None
    if supplied is None or analysis.tbs is None or analysis.tbs_see is None or analysis.identity is None:
        return None
    return frax.adjust(
        supplied,
        analysis.tbs,
        analysis.tbs_see,
        patient=interpret.patient_of(analysis),
        manufacturer=analysis.identity.scanner.manufacturer,
    )
