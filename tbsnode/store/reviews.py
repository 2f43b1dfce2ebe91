"""What reviewers did: who accepted, corrected or rejected which result, and what holds since."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import (
    Change,
    Corrections,
    RejectionReason,
    Review,
    ReviewAction,
    Reviewer,
    StudyState,
)
from tbsnode.reasons import Code
from tbsnode.store.schema import analysis, study
from tbsnode.store.schema import review as review_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.model import ReviewState
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

_SIGNATURES = (ReviewAction.ACCEPT.value, ReviewAction.CORRECT.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the newest review of a study decided about its measurement; later generations keep to it.

    Attributes
    ----------
    corrections : Corrections
        Changes to regions and labels.
    corrected_image : str
        SOP Instance UID of the image that they were made on; they are for no other.
    image_uid : str
        SOP Instance UID of the image that the reviewer chose; empty for the automatic choice.
    """

    corrections: Corrections = field(default_factory=Corrections)
    corrected_image: str = ""
    image_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One act of a reviewer: its row, the result that it led to or withdrew, and what it decided."""

    id: int
    study_ref: int
    analysis_ref: int
    review: Review
    standing: Standing

    @property
    def is_rejection(self) -> bool:
        """Whether the act withdrew the result."""
        return self.review.action is ReviewAction.REJECT


def add_review(
    tx: Transaction, study_id: int, analysis_id: int, review: Review, corrected_image: str = ""
) -> int:
    """Write one act of a reviewer; return its `id`.

    Parameters
    ----------
    tx : Transaction
        The transaction that also moves the study's review state.
    study_id, analysis_id : int
        Whose, and which result it led to or withdrew.
    review : Review
        The act.
    corrected_image : str
        SOP Instance UID of the image that its corrections are for.
    """
    record = asdict(review)
    record["at"] = review.at.isoformat()
    return tx.add(
        review_table,
        study_ref=study_id,
        analysis_ref=analysis_id,
        action=review.action.value,
        login=review.reviewer.login[:80],
        host=review.host[:255],
        at=review.at.timestamp(),
        version=review.version,
        record={**record, "corrected_image": corrected_image},
    )


def reviews_of_study(tx: Transaction, study_id: int) -> tuple[ReviewRow, ...]:
    """Return the acts on a study's results, oldest first."""
    query = sa.select(review_table).where(review_table.c.study_ref == study_id).order_by(review_table.c.id)
    return tuple(_row(row) for row in tx.all(query))


def latest(tx: Transaction, study_id: int) -> ReviewRow | None:
    """Return the newest act on a study's results."""
    query = sa.select(review_table).where(review_table.c.study_ref == study_id)
    row = tx.one(query.order_by(review_table.c.id.desc()).limit(1))
    return None if row is None else _row(row)


def standing(tx: Transaction, study_id: int) -> Standing:
    """Return what the newest review decided about the measurement; nothing where there is none."""
    newest = latest(tx, study_id)
    return Standing() if newest is None else newest.standing


def is_signed(tx: Transaction, analysis_id: int) -> bool:
    """Tell whether a reviewer signed this very result."""
    of_study = sa.select(analysis.c.study_ref).where(analysis.c.id == analysis_id)  # which has few acts
    query = sa.select(review_table.c.id).where(
        review_table.c.study_ref == of_study.scalar_subquery(),
        review_table.c.analysis_ref == analysis_id,
        review_table.c.action.in_(_SIGNATURES),
    )
    return tx.one(query.limit(1)) is not None


def withdrawal(tx: Transaction, study_id: int) -> ReviewRow | None:
    """Return the newest rejection of a study: it withdrew its `analysis_ref` and every result before."""
    query = sa.select(review_table).where(
        review_table.c.study_ref == study_id, review_table.c.action == ReviewAction.REJECT.value
    )
    row = tx.one(query.order_by(review_table.c.id.desc()).limit(1))
    return None if row is None else _row(row)


def rejected_studies(tx: Transaction, ids: Iterable[int]) -> frozenset[int]:
    """Return those of the studies whose newest review is a rejection.

    Their results are never an earlier examination, a calibration pair or sent again, also while a
    changed result waits for a reviewer.
    """
    newest = (
        sa.select(sa.func.max(review_table.c.id))
        .where(review_table.c.study_ref.in_(list(ids)))
        .group_by(review_table.c.study_ref)
    )
    query = sa.select(review_table.c.study_ref).where(
        review_table.c.id.in_(newest), review_table.c.action == ReviewAction.REJECT.value
    )
    return frozenset(row.study_ref for row in tx.all(query))


def is_rejected(tx: Transaction, study_id: int) -> bool:
    """Tell whether the newest review of a study is a rejection."""
    return study_id in rejected_studies(tx, (study_id,))


def move(tx: Transaction, row: StudyRow, after: ReviewState, *, newest_review_id: int) -> bool:
    """Move a study to another review state, if nothing has happened to it since it was read.

    Parameters
    ----------
    tx : Transaction
        The transaction that writes the act.
    row : StudyRow
        The study as the reviewer saw it: not at work, nothing arriving.
    after : ReviewState
        Its new state.
    newest_review_id : int
        Of the newest act then known; 0 where there was none.

    Returns
    -------
    bool
        False where another act, a late instance or another analysis came first.
    """
    moved = tx.execute(
        sa.update(study)
        .where(
            study.c.id == row.id,
            study.c.review_state == row.review_state.value,
            study.c.generation == row.generation,
            study.c.state == row.state.value,
            study.c.ready_at.is_(None),
        )
        .values(
            review_state=after.value,
            reason="" if row.reason == Code.NEEDS_RE_REVIEW.value else row.reason,
            updated_at=tx.now,
        )
    )
    if moved.rowcount != 1:
        return False
    # a statement of its own: on PostgreSQL it sees what was committed while the update waited
    newest = latest(tx, row.id)
    return (newest.id if newest else 0) == newest_review_id


AT_REST = (StudyState.DONE, StudyState.HELD, StudyState.FAILED, StudyState.NOT_APPLICABLE)


def _row(row: sa.Row[Any]) -> ReviewRow:
    record = dict(row.record)
    corrected_image = record.pop("corrected_image", "")
    review = _review(record)
    return ReviewRow(
        id=row.id,
        study_ref=row.study_ref,
        analysis_ref=row.analysis_ref,
        review=review,
        standing=Standing(
            corrections=review.corrections, corrected_image=corrected_image, image_uid=review.image_uid
        ),
    )


def _review(record: dict[str, Any]) -> Review:
    made = record["corrections"]
    rejection = record["rejection"]
    return Review(
        action=ReviewAction(record["action"]),
        reviewer=Reviewer(**record["reviewer"]),
        host=record["host"],
        at=datetime.fromisoformat(record["at"]),
        version=record["version"],
        comment=record["comment"],
        corrections=Corrections(
            exclude=tuple(made["exclude"]),
            disc_rows=tuple((disc, row) for disc, row in made["disc_rows"]),
            shift=made["shift"],
        ),
        image_uid=record["image_uid"],
        changes=tuple(Change(**change) for change in record["changes"]),
        rejection=None if rejection is None else RejectionReason(rejection),
    )
