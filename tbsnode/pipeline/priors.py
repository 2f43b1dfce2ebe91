"""Earlier examinations of the same patient, measured again with today's estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbsnode.model import Analysis, FollowUp
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.site import Site
    from tbsnode.store.records import StudyRow


def follow_up(site: Site, study: StudyRow, analysis: Analysis, settings: AnalysisSettings) -> FollowUp | None:
    """Return the course of a scored result, None where no earlier examination is known."""
    del site, study, analysis, settings
    return None
