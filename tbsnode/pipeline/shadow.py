"""A generation that is compared and never sent: what a new version of the software would say.

The study stays what it was: its state, its readers' state, its result sets and deliveries. The result
is a row of its own that nothing but the comparison reads. SR and PDF are made and checked, and not
kept: a version that cannot make them shows here, before it is let at the PACS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.model import DerivedKind
from tbsnode.pipeline.making import Material, checked, content_digest, make
from tbsnode.report import table
from tbsnode.store import audit, bulk, results, work

if TYPE_CHECKING:
    from tbsnode.model import Report
    from tbsnode.pipeline.assemble import Selection
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow


def keep(
    site: Site, ticket: work.Ticket, study: StudyRow, selection: Selection, report: Report | None
) -> bool:
    """Store what a generation came to for comparison, and leave the study as it was.

    Parameters
    ----------
    site : Site
        Archive, database and policy.
    ticket : Ticket
        The right to finish this study's generation.
    study : StudyRow
        The study, with its generation and committed time.
    selection : Selection
        What `assemble` decided.
    report : Report or None
        What would be stated; None where nothing would be reported.

    Returns
    -------
    bool
        False where the ticket was void: another worker has taken over.

    Raises
    ------
    InvalidResult
        If an instance would fail its own check.
    """
    if report is not None and selection.publish:
        _try_to_make(site, selection, report)
    with site.database.transaction() as tx:
        before = bulk.before(tx, study.id, study.generation)
        state = selection.state if before is None else before.state
        reason = study.reason if before is None else before.reason
        if not work.finish(tx, ticket, state, reason=reason):
            return False
        told = "nothing to report" if report is None else _store(tx, study, selection, report)
        audit.add_event(
            tx,
            "study.compared",
            f"generation {study.generation}: {told}; for comparison only, nothing is sent",
            study_instance_uid=study.study_instance_uid,
        )
    return True


def _try_to_make(site: Site, selection: Selection, report: Report) -> None:
    spine = selection.reported
    assert spine is not None
    material = Material(
        report=report,
        image=spine.image,
        source=site.archive.path(spine.instance.path),
        page_size=site.policy.page_size,
    )
    first = next((peer.sr_class[0] for peer in site.peers if peer.sr_class), "3d")
    for kind in (DerivedKind.SR, DerivedKind.PDF):
        checked(make(material, kind, sr_class=first, predecessor=None))


def _store(tx: Transaction, study: StudyRow, selection: Selection, report: Report) -> str:
    spine = selection.reported
    assert spine is not None
    results.add_analysis(
        tx,
        study.id,
        spine.analysis,
        results.AnalysisContext(
            generation=study.generation,
            instance_id=spine.instance.id,
            reported=False,
            published=False,
            shadow=True,
            content_digest=content_digest(report),
            result_digest=report.result_digest,
            content_at=study.content_at,
            result=table.as_json(spine.analysis),
        ),
    )
    analysis = spine.analysis
    slope = "" if analysis.score is None else f", texture slope {analysis.score:.3f}"
    return f"{analysis.status.value}{slope}"
