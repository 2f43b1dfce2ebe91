"""What may leave: a rejected result never again, an unsigned one not where only signed ones go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tbsnode import text
from tbsnode.reasons import Code, Finding
from tbsnode.store import deliveries, identity_changes, reviews

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbsnode.model import Peer
    from tbsnode.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Bar:
    """Why a result does not go to a destination: the sentence, and who must act."""

    why: str
    remedy: str


def rejected(tx: Transaction, study_id: int, analysis_id: int) -> Bar | None:
    """Say that a result was rejected, if it was.

    Parameters
    ----------
    tx : Transaction
        Open.
    study_id, analysis_id : int
        The result.
    """
    act = reviews.withdrawal(tx, study_id)
    if act is None or analysis_id > act.analysis_ref:
        return None
    day = datetime.fromtimestamp(act.review.at.timestamp(), UTC).strftime("%Y-%m-%d")
    return Bar(
        f"The result was rejected by {act.review.reviewer.login} on {day} and is never sent again.",
        "Reading physician: `tbsnode study correct` makes a new one.",
    )


def unsigned(tx: Transaction, peer: Peer | None, analysis_id: int) -> Bar | None:
    """Say that a destination waits for a signature that a result has not, if so."""
    if peer is None or peer.release != "signed" or reviews.is_signed(tx, analysis_id):
        return None
    code = Code.AWAITING_SIGNATURE
    return Bar(f"{peer.name}: {text.sentence(Finding(code))}", text.remedy(code))


def barred(tx: Transaction, peer: Peer | None, row: Mapping[str, Any]) -> Bar | None:
    """Say why a delivery, by column name, may not be tried again; the news of a rejection may."""
    study_id, analysis_id = row["study_ref"], row["analysis_ref"]
    if identity_changes.is_set_aside(tx, study_id):
        return Bar(
            "The study is in quarantine: nothing of it is sent.",
            "`tbsnode study release UID` ends that, and sends what was held.",
        )
    why = rejected(tx, study_id, analysis_id)
    if why is not None:
        return None if deliveries.owed_rejections(tx, study_id, row["destination"]) else why
    return unsigned(tx, peer, analysis_id)
