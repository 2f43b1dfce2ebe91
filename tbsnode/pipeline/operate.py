"""What an administrator does to studies and queues; every act is in the study's story."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tbsnode.errors import InvalidInstance, NotFound, ReviewRefused
from tbsnode.model import ReceivedInstance
from tbsnode.pipeline import acting, release
from tbsnode.pipeline.queues import (
    queue_cancel,
    queue_cancellable,
    queue_count,
    queue_list,
    queue_pause,
    queue_resume,
    queue_retriable,
    queue_retry,
    require_live,
)
from tbsnode.store import (
    audit,
    bulk,
    catalogue,
    commitments,
    deliveries,
    identity_changes,
    listing,
    readiness,
    results,
    reviews,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tbsnode.model import InstanceIdentity
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

# fmt: off
__all__ = [
    "IMPORTER", "StudySummary", "import_file", "queue_cancel", "queue_cancellable", "queue_count",
    "queue_list", "queue_pause", "queue_resume", "queue_retriable", "queue_retry", "ready", "reprocess",
    "reprocessable", "resend", "resolve", "study_list", "study_show", "trace",
]
# fmt: on

IMPORTER = "IMPORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """One line of `study list`."""

    study_instance_uid: str
    patient_id: str
    study_date: str
    scanner: str
    instances: int
    state: str
    reason: str
    review_state: str
    result: str
    score: float | None
    delivered: str


def require_importable(path: Path) -> InstanceIdentity:
    """Return what a file is, or raise InstanceError where `import_file` would."""
    from tbsnode.dicom import identity as dicom_identity  # a listing need not load pydicom
    from tbsnode.dicom import part10

    if not part10.is_part10(path):
        raise InvalidInstance("This is not a DICOM file.", remedy="Name files with a DICOM preamble.")
    return dicom_identity.read_identity(path)


def import_file(site: Site, path: Path) -> str:
    """Take a file in as if a scanner had sent it; the original stays where it is.

    Parameters
    ----------
    site : Site
        Archive and database.
    path : Path
        A Part 10 file.

    Returns
    -------
    str
        An outcome of `intake`: ``"stored"``, ``"duplicate"``, ``"corrected"`` ...

    Raises
    ------
    InstanceError
        If it is no DICOM file, or one that cannot be accepted.
    """
    from tbsnode.pipeline import intake

    identity = require_importable(path)
    copy = site.archive.bring_in(path)
    try:
        received = ReceivedInstance(
            path=copy,
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            transfer_syntax_uid=identity.transfer_syntax_uid,
            calling_ae_title=IMPORTER,
            called_ae_title=site.policy.ae_title,
            host="",
            association_id="",
        )
        return intake.take(site, received).outcome
    finally:
        copy.unlink(missing_ok=True)


# ---- studies ------------------------------------------------------------------------------------


def _study(tx: Transaction, uid: str) -> StudyRow:
    row = catalogue.study_by_uid(tx, uid)
    if row is None:
        raise NotFound(f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are.")
    return row


def _require_free(tx: Transaction, study_id: int) -> None:
    """Refuse what would wait in quarantine while it is said to be done."""
    if identity_changes.is_set_aside(tx, study_id):
        raise ReviewRefused(
            "The study is in quarantine: nothing of it is computed or sent.",
            remedy="`tbsnode study release UID` ends that, and does both.",
        )


def ready(site: Site, uid: str) -> None:
    """Take a study for complete now."""
    with site.database.transaction() as tx:
        row = _study(tx, uid)
        _require_free(tx, row.id)
        if not bulk.has_images(tx, row.id):
            raise NotFound("The images of this study were deleted.", remedy="Send them again.")
        readiness.arm(tx, row.id, ready_at=tx.now)
        audit.add_event(tx, "study.ready", f"{acting.who()} took it for complete", study_instance_uid=uid)


def reprocess(site: Site, uids: Iterable[str]) -> tuple[str, ...]:
    """Analyze studies again; a changed result makes a successor, the same result nothing.

    Returns
    -------
    tuple of str
        Those that are analyzed; of the others the images were deleted, or they are in quarantine.
    """
    done = []
    for uid in uids:
        with site.database.transaction() as tx:
            row = _study(tx, uid)
            if bulk.why_not(tx, row.id):
                continue
            readiness.arm(tx, row.id, ready_at=tx.now)
            done.append(uid)
            audit.add_event(
                tx, "study.reprocess", f"{acting.who()} asked for another analysis", study_instance_uid=uid
            )
    return tuple(done)


def reprocessable(site: Site, uids: Sequence[str]) -> tuple[str, ...]:
    """Return those of the studies that `reprocess` would analyze.

    Raises
    ------
    NotFound
        If one of them is not here.
    """
    with site.database.read() as tx:
        rows = bulk.ids_of(tx, list(uids))
        able = bulk.analyzable(tx, list(rows.values()))
        return tuple(uid for uid in uids if (rows.get(uid) or _study(tx, uid).id) in able)


def resend(site: Site, uid: str, destination: str | None = None) -> int:
    """Queue the last published result set of a study again, the same instances.

    A rejected result is never sent again, an unsigned one not where only signed ones go.

    Returns
    -------
    int
        How many deliveries were queued.

    Raises
    ------
    NotFound
        If there is no such study, destination or published result.
    ConfigError
        In shadow mode, where nothing leaves.
    ReviewRefused
        If the study is in quarantine, the result was rejected, or no destination takes it unsigned.
    """
    require_live(site)
    peers = [peer for peer in site.peers if destination in (None, peer.name)]
    if not peers:
        names = ", ".join(peer.name for peer in site.peers) or "none"
        raise NotFound(f"There is no destination {destination}.", remedy=f"Configured: {names}.")
    with site.database.transaction() as tx:
        row = _study(tx, uid)
        _require_free(tx, row.id)
        last = results.last_published(tx, row.id)
        if last is None:
            raise NotFound(
                "Nothing was published for this study.", remedy=f"`tbsnode study trace {uid}` says why."
            )
        if any(made.purged for made in results.derived_of_analysis(tx, last.id)):
            raise NotFound("The result files of this study were deleted.", remedy="Send its images again.")
        rejected = release.rejected(tx, row.id, last.id)
        bars = [rejected or release.unsigned(tx, peer, last.id) for peer in peers]
        peers = [peer for peer, bar in zip(peers, bars, strict=True) if bar is None]
        if not peers and bars[0] is not None:
            raise ReviewRefused(bars[0].why, remedy=bars[0].remedy)
        for peer in peers:
            deliveries.add_delivery(
                tx,
                deliveries.NewDelivery(
                    study_id=row.id,
                    analysis_id=last.id,
                    destination=peer.name,
                    horizon_s=site.policy.retry_horizon_s,
                ),
            )
        names = ", ".join(peer.name for peer in peers)
        audit.add_event(
            tx, "study.resend", f"{acting.who()} sends it again to {names}", study_instance_uid=uid
        )
    return len(peers)


def resolve(site: Site, uid: str, use: str) -> None:
    """Decide which of two instances with one UID and different pixels counts.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    use : str
        ``"first"`` keeps the one that was current, ``"latest"`` takes the newest.

    Raises
    ------
    NotFound
        If the study has no such conflict.
    """
    with site.database.transaction() as tx:
        row = _study(tx, uid)
        versions: dict[str, list[Any]] = {}
        for instance in catalogue.instances_of_study(tx, row.id):
            if instance.state in ("current", "conflict"):
                versions.setdefault(instance.sop_instance_uid, []).append(instance)
        decided = 0
        for rivals in versions.values():
            if not any(rival.state == "conflict" for rival in rivals):
                continue
            rivals.sort(key=lambda rival: rival.version)
            winner = rivals[0] if use == "first" else rivals[-1]
            for rival in rivals:
                state = "current" if rival is winner else "superseded"
                catalogue.set_instance_state(tx, rival.id, state)
            decided += 1
        if not decided:
            raise NotFound("This study has no conflict to resolve.")
        readiness.arm(tx, row.id, ready_at=tx.now)
        audit.add_event(
            tx,
            "study.resolved",
            f"{acting.who()} decided that the {use} of {decided} conflicting instances counts",
            study_instance_uid=uid,
        )


def study_list(site: Site, chosen: listing.StudyFilter) -> tuple[StudySummary, ...]:
    """Return the chosen studies, newest first."""
    with site.database.read() as tx:
        found = listing.list_studies(tx, chosen)
    return tuple(_summary(one) for one in found)


def _summary(one: listing.ListedStudy) -> StudySummary:
    result = one.result
    told = "" if result is None else f"{result.status.value} {result.reason}".strip()
    return StudySummary(
        study_instance_uid=one.study.study_instance_uid,
        patient_id=one.patient.patient_id,
        study_date=one.study.study_date,
        scanner=one.study.scanner,
        instances=one.instances,
        state=one.study.state.value,
        reason=one.study.reason,
        review_state=one.study.review_state.value,
        result=told,
        score=None if result is None else result.score,
        delivered=", ".join(f"{name}: {state.value}" for name, state in one.deliveries),
    )


def study_show(site: Site, uid: str) -> dict[str, Any]:
    """Return everything about one study, as plain values."""
    with site.database.read() as tx:
        row = _study(tx, uid)
        patient = catalogue.patient_of_study(tx, row.id)
        instances = catalogue.instances_of_study(tx, row.id)
        analyses = results.analyses_of_study(tx, row.id)
        made = [one for analysis in analyses for one in results.derived_of_analysis(tx, analysis.id)]
        sent = deliveries.deliveries_of_study(tx, row.id)
        answers = [answer for one in sent for answer in deliveries.items_of(tx, one["id"])]
        asked = commitments.commitments_of_study(tx, row.id)
        acts = reviews.reviews_of_study(tx, row.id)
        events = audit.events_of_study(tx, uid)
    study = asdict(row)
    return {
        **study,
        "patient": asdict(patient),
        "instances": [_without(asdict(one), "identity") for one in instances],
        "results": [
            _without(asdict(one), "result", "vertebrae") | {"result": one.result} for one in analyses
        ],
        "reviews": [_act(act) for act in acts],
        "made": [asdict(one) for one in made],
        "deliveries": sent,
        "commitments": [asdict(one) for one in asked],
        "answers": answers,
        "events": [asdict(event) for event in events],
    }


def _act(act: reviews.ReviewRow) -> dict[str, Any]:
    made = asdict(act.review)
    return {**made, **made.pop("reviewer"), "at": act.review.at.timestamp()}


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}


def trace(site: Site, uid: str) -> tuple[str, ...]:
    """Return the story of one study in at most 20 lines; see `pipeline.trace`."""
    from tbsnode.pipeline import trace as story

    with site.database.read() as tx:
        return story.lines(tx, _study(tx, uid), site.policy)
