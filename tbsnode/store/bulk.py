"""Bulk runs: several studies analyzed again in one act, a row for each, so that a kill loses nothing.

A study is asked for and its row moved in one transaction: whoever resumes a run goes on with the rows
that still wait, and nothing is asked for twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import AnalysisStatus, ReviewState, StudyState
from tbsnode.store import deliveries, identity_changes, readiness
from tbsnode.store.schema import analysis, bulk_run, bulk_study, instance, quarantine, study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.store.database import Transaction

_PORTION = 500
_TIMED = 200  # of so many past generations the middle duration is taken


class ItemState(StrEnum):
    """Where one study of a run stands."""

    WAITING = "waiting"  # not asked for yet
    ASKED = "asked"  # due, or being analyzed
    DONE = "done"
    FAILED = "failed"  # the analysis failed; the study's story says why
    CANCELLED = "cancelled"  # an administrator took it out of the queue
    OVERTAKEN = "overtaken"  # something arrived: an ordinary generation took the place of a comparison
    SKIPPED = "skipped"  # nothing to analyze any more


ENDED = tuple(state for state in ItemState if state not in (ItemState.WAITING, ItemState.ASKED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One bulk run: whether it only compares, and its studies by state."""

    id: int
    shadow: bool
    created_at: float
    counts: dict[ItemState, int]

    @property
    def total(self) -> int:
        """Number of studies."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Number of studies that this run is over with."""
        return sum(number for state, number in self.counts.items() if state in ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One study of a run: what stood before, and what the run's generation came to.

    Attributes
    ----------
    study_instance_uid, state
        Which study, and where it stands.
    status_before, status_after : str
        An AnalysisStatus, empty where nothing was reported.
    reason_before, reason_after : str
        Codes of refusals.
    score_before, score_after, difference : float or None
        Texture slopes; after less before.
    version_before, version_after : str
        Software versions.
    changed : bool
        Whether the result states something else.
    last_error : str
        What went wrong.
    """

    study_instance_uid: str
    state: str
    status_before: str
    reason_before: str
    score_before: float | None
    version_before: str
    status_after: str
    reason_after: str
    score_after: float | None
    version_after: str
    difference: float | None
    changed: bool
    last_error: str


def create(tx: Transaction, study_ids: Sequence[int], *, shadow: bool) -> int:
    """Write a run with its studies, none asked for yet; return its `id`."""
    run_id = tx.add(bulk_run, shadow=shadow, created_at=tx.now, updated_at=tx.now)
    items = [
        {
            "run_ref": run_id,
            "study_ref": study_id,
            "state": ItemState.WAITING.value,
            "state_before": "",
            "reason_before": "",
            "last_error": "",
            "updated_at": tx.now,
        }
        for study_id in study_ids
    ]
    if items:
        tx.execute(bulk_study.insert(), items)
    return run_id


def find(tx: Transaction, run_id: int | None = None) -> Run | None:
    """Return a run with its counts; without a number, the newest."""
    query = sa.select(bulk_run).order_by(bulk_run.c.id.desc()).limit(1)
    row = tx.one(query if run_id is None else query.where(bulk_run.c.id == run_id))
    if row is None:
        return None
    number = sa.select(bulk_study.c.state, sa.func.count().label("n")).where(bulk_study.c.run_ref == row.id)
    counts = {ItemState(one.state): one.n for one in tx.all(number.group_by(bulk_study.c.state))}
    return Run(id=row.id, shadow=row.shadow, created_at=row.created_at, counts=counts)


def ask(tx: Transaction, run: Run, *, at_once: int) -> int:
    """Make waiting studies due while fewer than `at_once` of the run are at work; return how many.

    A comparison waits until the study rests: it never takes the place of an ordinary generation.
    """
    room = at_once - run.counts.get(ItemState.ASKED, 0)
    query = (
        sa.select(bulk_study.c.id, bulk_study.c.study_ref)
        .join(study, study.c.id == bulk_study.c.study_ref)
        .where(bulk_study.c.run_ref == run.id, bulk_study.c.state == ItemState.WAITING.value)
        .order_by(bulk_study.c.id)
    )
    if run.shadow:
        query = query.where(_rests())
    return sum(_ask(tx, run, row.id, row.study_ref) for row in tx.all(query.limit(max(0, room))))


def _rests() -> sa.ColumnElement[bool]:
    return sa.and_(study.c.ready_at.is_(None), study.c.state.not_in(readiness.AT_WORK))


def _ask(tx: Transaction, run: Run, item_id: int, study_id: int) -> bool:
    if why := why_not(tx, study_id):
        _move(tx, item_id, ItemState.SKIPPED, last_error=why)
        return False
    deliveries.lock_study(tx, study_id)  # until the commit nothing arrives for it
    item = tx.one(sa.select(bulk_study.c.state).where(bulk_study.c.id == item_id))
    now = tx.one(sa.select(study, _rests().label("rests")).where(study.c.id == study_id))
    assert item is not None
    assert now is not None
    if item.state != ItemState.WAITING.value or (run.shadow and not now.rests):
        return False  # another command goes on with the same run, or an instance has just come
    standing = sa.select(sa.func.max(analysis.c.id)).where(analysis.c.study_ref == study_id)
    readiness.arm(tx, study_id, ready_at=tx.now, shadow=run.shadow)
    _move(
        tx,
        item_id,
        ItemState.ASKED,
        generation=now.generation + 1,
        before_ref=tx.scalar(standing.where(analysis.c.reported)),
        state_before=now.state,
        reason_before=now.reason,
    )
    return True


def _move(tx: Transaction, item_id: int, state: ItemState, **values: Any) -> None:
    tx.execute(
        sa.update(bulk_study)
        .where(bulk_study.c.id == item_id)
        .values(state=state.value, updated_at=tx.now, **values)
    )


def has_images(tx: Transaction, study_id: int) -> bool:
    """Tell whether a study has anything to analyze: retention may have deleted it."""
    query = sa.select(instance.c.id).where(instance.c.study_ref == study_id, instance.c.state != "purged")
    return tx.one(query.limit(1)) is not None


def why_not(tx: Transaction, study_id: int) -> str:
    """Say why a study cannot be analyzed again, empty where it can."""
    if identity_changes.is_set_aside(tx, study_id):
        return "it is in quarantine"
    return "" if has_images(tx, study_id) else "its instances were deleted"


def analyzable(tx: Transaction, study_ids: Sequence[int]) -> frozenset[int]:
    """Return those of the studies that `why_not` has nothing against."""
    found: set[int] = set()
    for start in range(0, len(study_ids), _PORTION):
        part = list(study_ids[start : start + _PORTION])
        query = sa.select(instance.c.study_ref).where(
            instance.c.study_ref.in_(part), instance.c.state != "purged"
        )
        found.update(row.study_ref for row in tx.all(query.distinct()))
    return frozenset(found) - frozenset(tx.connection.execute(sa.select(quarantine.c.study_ref)).scalars())


def observe(tx: Transaction, run_id: int) -> None:
    """See which of the studies that were asked for are over, and put back one whose comparison failed."""
    query = (
        sa.select(bulk_study, study.c.state.label("now"), study.c.generation.label("reached"))
        .add_columns(study.c.ready_at, study.c.shadow, study.c.last_error.label("error"))
        .join(study, study.c.id == bulk_study.c.study_ref)
        .where(bulk_study.c.run_ref == run_id, bulk_study.c.state == ItemState.ASKED.value)
    )
    for row in tx.all(query):
        at_work = row.now in readiness.AT_WORK
        if row.reached < row.generation and row.ready_at is None and not at_work:
            _move(tx, row.id, ItemState.CANCELLED)
        elif row.reached > row.generation or (row.reached == row.generation and not at_work):
            _end(tx, row)


def _end(tx: Transaction, row: sa.Row[Any]) -> None:
    failed = row.reached == row.generation and row.now == StudyState.FAILED.value
    if failed and row.shadow:  # the study itself is as well as it was
        tx.execute(
            sa.update(study)
            .where(study.c.id == row.study_ref, study.c.state == row.now)
            .values(state=row.state_before, reason=row.reason_before, updated_at=tx.now)
        )
    if failed:
        _move(tx, row.id, ItemState.FAILED, last_error=row.error)
        return
    wanted_shadow = tx.scalar(sa.select(bulk_run.c.shadow).where(bulk_run.c.id == row.run_ref))
    first = sa.select(analysis.c.shadow).where(
        analysis.c.study_ref == row.study_ref,
        analysis.c.generation == row.generation,
        sa.or_(analysis.c.reported, analysis.c.shadow),
    )
    overtaken = wanted_shadow and tx.scalar(first.order_by(analysis.c.id).limit(1)) is False
    _move(tx, row.id, ItemState.OVERTAKEN if overtaken else ItemState.DONE)


@dataclass(frozen=True, slots=True)
class Before:
    """What a study was before a comparison: its state and the reason of that."""

    state: StudyState
    reason: str


def before(tx: Transaction, study_id: int, generation: int) -> Before | None:
    """Return what a study was before the comparison that is its present generation."""
    query = sa.select(bulk_study.c.state_before, bulk_study.c.reason_before).where(
        bulk_study.c.study_ref == study_id, bulk_study.c.generation == generation
    )
    row = tx.one(query.order_by(bulk_study.c.id.desc()).limit(1))
    return None if row is None else Before(StudyState(row.state_before), row.reason_before)


def compared(tx: Transaction, run_id: int) -> tuple[Compared, ...]:
    """Return each study of a run with what stood before and what came out, in the order of the run."""
    old, new = analysis.alias("old"), analysis.alias("new")
    first = (  # a signature of the same generation comes later
        sa.select(sa.func.min(analysis.c.id))
        .where(
            analysis.c.study_ref == bulk_study.c.study_ref,
            analysis.c.generation == bulk_study.c.generation,
            sa.or_(analysis.c.reported, analysis.c.shadow),
        )
        .correlate(bulk_study)
        .scalar_subquery()
    )
    columns = ("status", "reason", "score", "version", "content_digest")
    query = (
        sa.select(bulk_study.c.state, bulk_study.c.last_error, study.c.study_instance_uid)
        .add_columns(*(old.c[name].label(f"{name}_before") for name in columns))
        .add_columns(*(new.c[name].label(f"{name}_after") for name in columns))
        .select_from(bulk_study.join(study, study.c.id == bulk_study.c.study_ref))
        .join(old, old.c.id == bulk_study.c.before_ref, isouter=True)
        .join(new, new.c.id == first, isouter=True)
        .where(bulk_study.c.run_ref == run_id)
        .order_by(bulk_study.c.id)
    )
    return tuple(_compared(row) for row in tx.all(query))


def _compared(row: sa.Row[Any]) -> Compared:
    both = row.score_before is not None and row.score_after is not None
    over = row.state in (ItemState.DONE.value, ItemState.OVERTAKEN.value)
    return Compared(
        study_instance_uid=row.study_instance_uid,
        state=row.state,
        status_before=row.status_before or "",
        reason_before=row.reason_before or "",
        score_before=row.score_before,
        version_before=row.version_before or "",
        status_after=row.status_after or "",
        reason_after=row.reason_after or "",
        score_after=row.score_after,
        version_after=row.version_after or "",
        difference=row.score_after - row.score_before if both else None,
        changed=over and row.content_digest_before != row.content_digest_after,
        last_error=row.last_error,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a bulk run would be about.

    Attributes
    ----------
    studies : int
        How many.
    signed : int
        How many of them a reviewer has signed: a changed result waits for another review.
    rejected : int
        How many a reviewer has rejected: a changed result waits too.
    seconds_each : float or None
        Middle duration of past generations, None where there are none.
    """

    studies: int
    signed: int
    rejected: int
    seconds_each: float | None


def preview(tx: Transaction, study_ids: Sequence[int], *, workers: int) -> Preview:
    """Look at what a run of these studies would be about, for a node with so many workers."""
    wanted = list(dict.fromkeys(study_ids))
    found: list[str] = []
    for start in range(0, len(wanted), _PORTION):
        states = sa.select(study.c.review_state).where(study.c.id.in_(wanted[start : start + _PORTION]))
        found += [row.review_state for row in tx.all(states)]
    recent = (
        sa.select(analysis.c.created_at, analysis.c.content_at)
        .where(
            sa.or_(analysis.c.reported, analysis.c.shadow),
            analysis.c.content_at.is_not(None),
            analysis.c.status != AnalysisStatus.NOT_APPLICABLE.value,
        )
        .order_by(analysis.c.id.desc())
        .limit(_TIMED)
    )
    took = _durations([(row.content_at, row.created_at) for row in tx.all(recent)], workers)
    return Preview(
        studies=len(wanted),
        signed=sum(state in (ReviewState.SIGNED, ReviewState.NEEDS_RE_REVIEW) for state in found),
        rejected=sum(state == ReviewState.REJECTED for state in found),
        seconds_each=median(took) if took else None,
    )


def _durations(spans: Sequence[tuple[float, float]], workers: int) -> list[float]:
    """Return how long studies were worked on, of when each was due and done: not how long it queued."""
    ordered = sorted(spans, key=lambda span: span[1])
    freed = [float("-inf")] * workers + [done for _, done in ordered]  # a worker, for the study at its place
    return [max(0.0, done - max(due, free)) for (due, done), free in zip(ordered, freed, strict=False)]


def ids_of(tx: Transaction, uids: Sequence[str]) -> dict[str, int]:
    """Return the rows of studies by Study Instance UID; those that are not here are missing."""
    found: dict[str, int] = {}
    for start in range(0, len(uids), _PORTION):
        query = sa.select(study.c.study_instance_uid, study.c.id)
        part = query.where(study.c.study_instance_uid.in_(uids[start : start + _PORTION]))
        found.update({row.study_instance_uid: row.id for row in tx.all(part)})
    return found
