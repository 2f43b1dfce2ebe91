"""The story of one study in at most 20 lines, for an administrator on the telephone."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tbsnode import text
from tbsnode.model import ReviewState, StudyState
from tbsnode.pipeline.study_dates import local_time
from tbsnode.reasons import Code, Finding
from tbsnode.store import audit, catalogue, results, reviews, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.pipeline.site import Policy
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import EventRow, StudyRow

MOST_LINES = 20
_FIRST = 6


def lines(tx: Transaction, study: StudyRow, policy: Policy) -> tuple[str, ...]:
    """Return what happened to a study, when, and what has to be done, if anything.

    Parameters
    ----------
    tx : Transaction
        A read transaction.
    study : StudyRow
        The study.
    policy : Policy
        Of the node, for what a state means here.

    Returns
    -------
    tuple of str
        At most 20 lines without identifying values; events of one kind in a row are one line.
    """
    head = [f"study {study.study_instance_uid}", _where(study, policy, _refusal(tx, study))]
    head += [
        f"the queue {paused} is paused: `tbsnode queue resume {paused}` goes on"
        for paused in work.paused_queues(tx)
    ]
    if study.review_state is not ReviewState.NONE:
        head.append(_readers(tx, study))
    warning = _several_associations(tx, study)
    if warning:
        head.append(warning)
    told = [_told(list(group)) for _, group in groupby(_events(tx, study), key=_alike)]
    room = MOST_LINES - len(head)
    if len(told) > room:
        left_out = len(told) - room + 1
        more = f"... {left_out} more; `tbsnode study show {study.study_instance_uid} --json` has all"
        told = [*told[:_FIRST], more, *told[-(room - _FIRST - 1) :]]
    return (*head, *told)


def _events(tx: Transaction, study: StudyRow) -> Sequence[EventRow]:
    return audit.events_of_study(tx, study.study_instance_uid)


def _alike(event: EventRow) -> tuple[str, str]:
    """Group what repeats: received instances, and one destination's answers of one kind."""
    same = event.action.startswith("instance.") or event.action.endswith(".postponed")
    return event.action, "" if same else event.text


def _told(events: Sequence[EventRow]) -> str:
    last = events[-1]
    when = local_time(events[0].at)
    many = f" (the last of {len(events)})" if len(events) > 1 else ""
    return f"{when}  {last.action}: {last.text}{many}"


def _where(study: StudyRow, policy: Policy, refused: str) -> str:
    """Say where the study stands, and what to do."""
    state = f"state: {study.state.value}"
    if study.state is StudyState.RECEIVING and study.ready_at is not None:
        due = local_time(study.ready_at)
        return f"{state}, taken for complete at {due}; `tbsnode study ready UID` does not wait"
    if study.state is StudyState.FAILED:
        return f"{state}: {study.last_error}; `tbsnode queue retry study/{study.id}` tries again"
    if study.reason:
        code = Code(study.reason)
        return f"{state}, {code.value}: {text.sentence(Finding(code))} {text.remedy(code)}".rstrip()
    if policy.shadow:
        return f"{state}; shadow mode: nothing is sent"
    return state + refused


def _readers(tx: Transaction, study: StudyRow) -> str:
    """Say where the result stands with its readers, and who acted last."""
    state = f"review: {study.review_state.value.replace('_', ' ')}"
    act = reviews.latest(tx, study.id)
    if act is None:
        return f"{state}; `tbsnode study accept`, `correct` or `reject`"
    made, when = act.review, local_time(act.review.at.timestamp())
    what = "rejected" if act.is_rejection else f"signed version {made.version}"
    return f"{state}; {made.reviewer.login} on {made.host} {what} at {when}"


def _refusal(tx: Transaction, study: StudyRow) -> str:
    """Say why the newest result is a refusal, if it is one."""
    reported = [row for row in results.analyses_of_study(tx, study.id) if row.reported]
    if not reported or not reported[-1].reason:
        return ""
    code = Code(reported[-1].reason)
    return f": refused {code.value}: {text.sentence(Finding(code))} {text.remedy(code)}".rstrip()


def _several_associations(tx: Transaction, study: StudyRow) -> str:
    associations = {
        row.association_id for row in catalogue.instances_of_study(tx, study.id) if row.association_id
    }
    if len(associations) < 2:
        return ""
    return (
        f"warning: it came in {len(associations)} associations; if results come too early, "
        "raise quiet_s of this caller"
    )
