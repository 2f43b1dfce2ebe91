"""What one delivery consists of: the instances of a result as this destination takes them.

The SR goes in the first SOP class of the destination's order that it takes, and its predecessor is
what *that* destination received before. Of a rejected result only the rejection is left to send.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbsnode.dicom import part10, sop_classes, uids, variant
from tbsnode.errors import InvalidInstance, InvalidResult
from tbsnode.model import DerivedKind, Outgoing, Reference
from tbsnode.pipeline import registered
from tbsnode.pipeline.release import rejected
from tbsnode.store import catalogue, deliveries, results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store import work
    from tbsnode.store.records import AnalysisRow, DerivedRow, InstanceRow, StudyRow

STORED = ("success", "warning")


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """One delivery with everything it refers to."""

    ticket: work.Ticket
    study: StudyRow
    analysis: AnalysisRow
    peer: Peer
    tries: int
    deadline: float
    now: float
    answered: dict[str, deliveries.Answer]


@dataclass(frozen=True, eq=False, kw_only=True)
class Item:
    """One instance to send, and what it is registered as.

    A variant of `base` is named here and made by `prepare` when its turn comes: most never are. The
    digests are those of the file as it was written: of all its bytes, or of its data set.
    """

    kind: str
    outgoing: Outgoing
    derived_id: int | None = None
    instance_id: int | None = None
    base: DerivedRow | None = None
    predecessor: Reference | None = None
    sha256: str = ""
    data_set_sha256: str = ""


def items(site: Site, job: Job) -> list[list[Item]]:
    """Return what to send: for each thing its alternatives, first choice first.

    What the destination has to be told of rejected results comes first; nothing else of a rejected
    result is sent.
    """
    with site.database.read() as tx:
        made = results.derived_of_analysis(tx, job.analysis.id)
        owed = deliveries.owed_rejections(tx, job.study.id, job.peer.name)
        withdrawn = rejected(tx, job.study.id, job.analysis.id) is not None
        sources = catalogue.instances_of_study(tx, job.study.id) if "source" in job.peer.send else ()
    wanted = [[_as_made(site, row)] for row in owed]
    if not withdrawn:
        wanted += [*_results(site, job, made), *([_source(site, r)] for r in sources if r.state == "current")]
    return wanted


def _results(site: Site, job: Job, made: tuple[DerivedRow, ...]) -> Iterator[list[Item]]:
    for kind in (DerivedKind.SR, DerivedKind.PDF, DerivedKind.OVERLAY):
        base = next((row for row in made if row.kind == kind.value), None)
        if base is None or kind.value not in job.peer.send:
            continue
        names = job.peer.sr_class if kind is DerivedKind.SR else ("",)
        wanted = [sop_classes.SR_CLASSES[name] if name else base.sop_class_uid for name in names]
        yield [_variant(site, job, base, sop_class_uid) for sop_class_uid in wanted]


def _source(site: Site, row: InstanceRow) -> Item:
    outgoing = Outgoing(
        path=site.archive.path(row.path),
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
    )
    return Item(kind="source", outgoing=outgoing, instance_id=row.id, data_set_sha256=row.data_set_sha256)


def _as_made(site: Site, row: DerivedRow) -> Item:
    outgoing = Outgoing(
        path=site.archive.path(row.path),
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax_uid=sop_classes.EXPLICIT_VR_LITTLE_ENDIAN,
    )
    return Item(kind=row.kind, outgoing=outgoing, derived_id=row.id, sha256=row.sha256)


def _variant(site: Site, job: Job, base: DerivedRow, sop_class_uid: str) -> Item:
    """Name the archived instance in that class and with this destination's predecessor."""
    kind = DerivedKind(base.kind)
    with site.database.read() as tx:
        before = registered.predecessor(tx, job.study, job.peer.name, kind, before=job.analysis.id)
    if (base.sop_class_uid, base.predecessor_uid) == (sop_class_uid, _uid(before)):
        return _as_made(site, base)
    outgoing = Outgoing(
        path=site.archive.path(base.path),
        sop_class_uid=sop_class_uid,
        sop_instance_uid=uids.derived_uid(
            kind.value, sop_class_uid, job.analysis.result_digest, _uid(before)
        ),
        transfer_syntax_uid=sop_classes.EXPLICIT_VR_LITTLE_ENDIAN,
    )
    return Item(kind=kind.value, outgoing=outgoing, base=base, predecessor=before, sha256=base.sha256)


def _uid(reference: Reference | None) -> str:
    return reference.sop_instance_uid if reference else ""


def prepare(site: Site, job: Job, item: Item) -> Item | None:
    """Make, archive and register a variant before it is sent; one UID never has two contents.

    Returns
    -------
    Item or None
        None where the result was rejected or replaced meanwhile: a rejection names every instance that
        was registered before it, so none may be added after it.
    """
    if item.derived_id is not None or item.base is None:
        return item
    derived = variant.recast(
        site.archive.path(item.base.path),
        kind=DerivedKind(item.kind),
        sop_class_uid=item.outgoing.sop_class_uid,
        sop_instance_uid=item.outgoing.sop_instance_uid,
        predecessor=item.predecessor,
    )
    site.archive.write(registered.path_of(site, derived), derived.part10)
    with site.database.transaction() as tx:
        deliveries.lock_study(tx, job.study.id)
        if rejected(tx, job.study.id, job.analysis.id) is not None:
            return None
        row_id = registered.register(tx, site, job.analysis.id, job.study.id, derived)
    path = site.archive.path(registered.path_of(site, derived))
    return replace(item, outgoing=replace(item.outgoing, path=path), derived_id=row_id)


def unsent(job: Job, alternatives: list[Item]) -> list[Item]:
    """Return the alternatives, none where the peer has stored one of them already."""
    for item in alternatives:
        answer = job.answered.get(item.outgoing.sop_instance_uid)
        if answer is not None and answer.outcome in STORED:
            return []
    return alternatives


def require_intact(wanted: list[list[Item]]) -> None:
    """Hold every file that is to be sent against the digest of its row, before anything is sent.

    Raises
    ------
    InvalidResult
        If a file is missing or has changed since it was written.
    """
    for item in {item.outgoing.path: item for alternatives in wanted for item in alternatives}.values():
        what = _fault(item)
        if what:
            raise InvalidResult(
                f"The archived {item.kind.upper()} {what}; nothing was sent.",
                remedy="`tbsnode db verify` names every such file: restore it, then `tbsnode queue retry`.",
            )


def _fault(item: Item) -> str:
    path = item.outgoing.path
    try:
        if item.sha256:
            with path.open("rb") as stream:
                intact = hashlib.file_digest(stream, "sha256").hexdigest() == item.sha256
        else:
            intact = part10.data_set_digest(path) == item.data_set_sha256
    except FileNotFoundError:
        return "is missing"
    except InvalidInstance:
        return "is no DICOM file any more"
    return "" if intact else "is not what was written (its digest differs)"
