"""Result to instances: SR, PDF and overlay made once, archived, and queued for every destination.

A derived UID is a function of what the object states, so work that runs twice makes the same
instances; the archive, the rows and the deliveries are committed in one transaction that only the
holder of the current ticket can commit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode.model import (
    AnalysisStatus,
    DeliveryState,
    DerivedInstance,
    DerivedKind,
    Provenance,
    Reference,
    Report,
)
from tbsnode.pipeline.making import Material, checked, content_digest, make, make_report
from tbsnode.reasons import Code
from tbsnode.report import table
from tbsnode.store import audit, deliveries, results, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import Analysis, Peer
    from tbsnode.pipeline.assemble import Selection
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow


def publish(site: Site, ticket: work.Ticket, study: StudyRow, selection: Selection) -> bool:
    """Store what a generation came to, and queue its result set where it changed something.

    Parameters
    ----------
    site : Site
        Archive, database, destinations and policy.
    ticket : Ticket
        The right to finish this study's generation.
    study : StudyRow
        The study, with its generation and committed time.
    selection : Selection
        What `assemble` decided.

    Returns
    -------
    bool
        False where the ticket was void: another worker has taken over.
    """
    if selection.reported is None:
        with site.database.transaction() as tx:
            return _conclude(tx, ticket, study, selection, "nothing to report")
    report = make_report(
        selection.reported.analysis,
        others=[other.analysis for other in selection.others],
        provenance=provenance_of(site, study),
    )
    result = _Result(study=study, selection=selection, report=report, content=content_digest(report))
    with site.database.read() as tx:
        last = results.last_published(tx, study.id)
    result = replace(result, unchanged=last is not None and last.content_digest == result.content)
    if selection.publish and not result.unchanged:
        result = replace(result, made=_make_first(site, result))
        for derived in result.made:
            site.archive.write(path_of(site, derived), derived.part10)
    with site.database.transaction() as tx:
        return _commit(tx, site, ticket, result)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Result:
    study: StudyRow
    selection: Selection
    report: Report
    content: str
    unchanged: bool = False
    made: tuple[DerivedInstance, ...] = ()


def provenance_of(site: Site, study: StudyRow) -> Provenance:
    """Return who makes the results of a study's generation, and its committed time."""
    assert study.content_at is not None
    return Provenance(
        version=site.policy.version,
        device_uid=site.policy.device_uid,
        station=site.policy.ae_title,
        serial_number=site.policy.serial_number,
        content_at=datetime.fromtimestamp(study.content_at, UTC),
        institution=site.policy.institution,
    )


def path_of(site: Site, derived: DerivedInstance) -> str:
    """Return where a derived instance lies, relative to the archive."""
    return site.archive.derived_path(derived.study_instance_uid, derived.kind.value, derived.sop_instance_uid)


def _make_first(site: Site, result: _Result) -> tuple[DerivedInstance, ...]:
    """Make each wanted kind once, as the first destination takes it.

    `deliver` recasts the archived bytes for a destination that takes another SR class or that
    received another predecessor.
    """
    selected = result.selection.reported
    assert selected is not None
    material = Material(
        report=result.report,
        image=selected.image,
        source=site.archive.path(selected.instance.path),
        page_size=site.policy.page_size,
    )
    made = []
    for kind in _kinds(site.peers, selected.analysis):
        first = next((peer for peer in site.peers if kind.value in peer.send), None)
        with site.database.read() as tx:
            before = predecessor(tx, result.study, first.name if first else "", kind)
        sr_class = first.sr_class[0] if first and first.sr_class else "3d"
        made.append(checked(make(material, kind, sr_class=sr_class, predecessor=before)))
    return tuple(made)


def _kinds(peers: Sequence[Peer], analysis: Analysis) -> tuple[DerivedKind, ...]:
    """Return what is made: SR and PDF always, an overlay where a destination wants one.

    A refused picture is not drawn again: a report page has the patient's identity in its pixels.
    """
    wanted = {"sr", "pdf"}.union(*(peer.send for peer in peers))
    if analysis.status is not AnalysisStatus.SCORED:
        wanted.discard("overlay")
    return tuple(kind for kind in (DerivedKind.SR, DerivedKind.PDF, DerivedKind.OVERLAY) if kind in wanted)


def predecessor(
    tx: Transaction, study: StudyRow, destination: str, kind: DerivedKind, *, before: int | None = None
) -> Reference | None:
    """Return what that destination received last, the predecessor of what it gets next."""
    received = deliveries.last_received(tx, study.id, destination, kind.value, before=before)
    if received is None:
        return None
    return Reference(
        sop_class_uid=received.sop_class_uid,
        sop_instance_uid=received.sop_instance_uid,
        series_instance_uid=received.series_instance_uid,
        study_instance_uid=study.study_instance_uid,
    )


def _commit(tx: Transaction, site: Site, ticket: work.Ticket, result: _Result) -> bool:
    """Write results, instances and deliveries and end the ticket: all or nothing."""
    study, selection = result.study, result.selection
    status = result.report.analysis.status.value
    told = f"{status}, unchanged: nothing new is made" if result.unchanged else status
    if not _conclude(tx, ticket, study, selection, told):
        return False
    spines = [selection.reported, *selection.others]
    for spine in spines:
        assert spine is not None
        reported = spine is selection.reported
        analysis_id = results.add_analysis(
            tx,
            study.id,
            spine.analysis,
            results.AnalysisContext(
                generation=study.generation,
                instance_id=spine.instance.id,
                reported=reported,
                published=reported and bool(result.made),
                content_digest=result.content if reported else "",
                result_digest=result.report.result_digest if reported else "",
                content_at=study.content_at,
                result=table.as_json(spine.analysis),
            ),
        )
        if reported and result.made:
            _queue(tx, site, study, analysis_id, result.made)
    return True


def _conclude(tx: Transaction, ticket: work.Ticket, study: StudyRow, selection: Selection, what: str) -> bool:
    """End the ticket with the study's new state, and say so in its story."""
    code = selection.reason.code if selection.reason else None
    if not work.finish(tx, ticket, selection.state, reason=code.value if code else ""):
        return False
    analysis = selection.reported.analysis if selection.reported else None
    if analysis is not None and analysis.score is not None:
        what += f", texture slope {analysis.score:.3f} from {', '.join(analysis.included)}"
    if analysis is not None and analysis.reason is not None:
        what += f": {analysis.reason.code.value}"
    if code is not None and (analysis is None or analysis.reason is None or code != analysis.reason.code):
        what += f"; {selection.state.value}: {code.value}"
    audit.add_event(
        tx,
        f"study.{selection.state.value}",
        f"generation {study.generation}: {what}",
        study_instance_uid=study.study_instance_uid,
    )
    return True


def _queue(
    tx: Transaction, site: Site, study: StudyRow, analysis_id: int, made: Sequence[DerivedInstance]
) -> None:
    """Register the instances and queue one delivery for each destination."""
    for derived in made:
        register(tx, site, analysis_id, study.id, derived)
    names = ", ".join(f"{d.kind.value.upper()} {d.sop_instance_uid}" for d in made)
    audit.add_event(tx, "result.published", f"made {names}", study_instance_uid=study.study_instance_uid)
    for peer in site.peers:
        deliveries.add_delivery(
            tx,
            deliveries.NewDelivery(
                study_id=study.id,
                analysis_id=analysis_id,
                destination=peer.name,
                state=DeliveryState.HELD if site.policy.shadow else DeliveryState.QUEUED,
                reason=Code.SHADOW_MODE.value if site.policy.shadow else "",
                horizon_s=site.policy.retry_horizon_s,
            ),
        )


def register(tx: Transaction, site: Site, analysis_id: int, study_id: int, derived: DerivedInstance) -> int:
    """Write the row of an archived derived instance; writing it again changes nothing."""
    return results.add_derived(
        tx, analysis_id=analysis_id, study_id=study_id, derived=derived, path=path_of(site, derived)
    )
