"""The interpretation of a study to paste into a report: as it was published, never written anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import DerivedKind, ReportStatus, ReviewState
from tbsnode.store import catalogue, results, reviews

if TYPE_CHECKING:
    from tbsnode.model import Review
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import AnalysisRow, StudyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The interpretation of a study's newest published result, or of the signed one.

    Attributes
    ----------
    study_instance_uid, sop_instance_uid : str
        Of the study, and of the structured report that carries the text.
    status : ReportStatus
        How far it may be relied on.
    text : str
        The paragraph, without identity.
    needs_re_review : bool
        True where the result has changed since it was signed; the text is that of the signed one.
    signed_by, organization, signed_at : str
        Who signed, and when (ISO 8601); empty for a preliminary result.
    version : int
        Number of the signature; 0 for a preliminary result.
    """

    study_instance_uid: str
    sop_instance_uid: str
    status: ReportStatus
    text: str
    needs_re_review: bool = False
    signed_by: str = ""
    organization: str = ""
    signed_at: str = ""
    version: int = 0


def wording(site: Site, uid: str) -> Wording:
    """Return the interpretation of a study, read from its archived structured report.

    Parameters
    ----------
    site : Site
        Archive and database.
    uid : str
        Study Instance UID.

    Raises
    ------
    NotFound
        If there is no such study, or nothing of it was published.
    ReviewRefused
        If a reviewer has withdrawn the result.
    """
    from tbsnode.dicom import conclusion  # a usage error need not load pydicom

    with site.database.read() as tx:
        study = catalogue.study_by_uid(tx, uid)
        if study is None:
            raise NotFound(
                f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are."
            )
        analysis, signature = _standing(tx, study)
        documents = results.derived_of_analysis(tx, analysis.id)
    document = next((each for each in documents if each.kind == DerivedKind.SR.value), None)
    if document is None:
        raise NotFound(f"There is no structured report of study {uid}.", remedy=_WHY)
    said = conclusion.read(site.archive.path(document.path))
    if not said:
        raise NotFound(
            f"The report of study {uid} was made before reports had an interpretation.",
            remedy=f"`tbsnode study reprocess {uid}` makes one that has.",
        )
    return _worded(study, document.sop_instance_uid, said, signature)


_WHY = "Administrator: `tbsnode study trace UID` says why."


def _standing(tx: Transaction, study: StudyRow) -> tuple[AnalysisRow, Review | None]:
    """Return the result that stands, with its signature."""
    act = reviews.latest(tx, study.id)
    if act is not None and act.is_rejection:
        raise ReviewRefused(
            "The result was withdrawn by a reviewer; there is no text to use.",
            remedy="Reading physician: `tbsnode study correct` makes a new result.",
        )
    analysis = results.analysis_by_id(tx, act.analysis_ref) if act else results.last_published(tx, study.id)
    if analysis is None:
        raise NotFound(f"Nothing was published for study {study.study_instance_uid}.", remedy=_WHY)
    return analysis, act.review if act else None


def _worded(study: StudyRow, sop_instance_uid: str, said: str, signature: Review | None) -> Wording:
    if signature is None:
        return Wording(
            study_instance_uid=study.study_instance_uid,
            sop_instance_uid=sop_instance_uid,
            status=ReportStatus.PRELIMINARY,
            text=said,
        )
    return Wording(
        study_instance_uid=study.study_instance_uid,
        sop_instance_uid=sop_instance_uid,
        status=ReportStatus.SIGNED if signature.version == 1 else ReportStatus.AMENDED,
        text=said,
        needs_re_review=study.review_state is ReviewState.NEEDS_RE_REVIEW,
        signed_by=signature.reviewer.name,
        organization=signature.reviewer.organization,
        signed_at=signature.at.isoformat(timespec="seconds"),
        version=signature.version,
    )
