"""Where a result stands with its readers: the states, the one table of transitions, and who may act.

::

    NONE ──published──> PRELIMINARY ──accept, correct──> SIGNED <──correct, accept── NEEDS_RE_REVIEW
                             │  ^ changed                  │  │                         ^      │
                             │  └─ (a successor)        reject└──────── changed ────────┘      │
                             └──reject──> REJECTED <───────┴───────────────reject──────────────┘
                                             └── changed ──> NEEDS_RE_REVIEW; correct ──> SIGNED

Before a signature a changed result replaces the one before it. After a signature or a rejection
nothing changes by itself: a changed result waits as NEEDS_RE_REVIEW, and nothing is sent until a
reviewer acts. Where a later analysis comes to what was signed or rejected again, nothing waits any
more.
"""

from __future__ import annotations

import socket
from enum import StrEnum
from typing import TYPE_CHECKING

from tbsnode.errors import NotAReviewer, ReviewRefused
from tbsnode.model import ReviewState
from tbsnode.pipeline import acting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbsnode.model import Reviewer
    from tbsnode.pipeline.site import Policy


class ReviewEvent(StrEnum):
    """What moves a result from one state to another: three acts of people, the rest of the node."""

    PUBLISHED = "published"  # the first result set of the study was made
    CHANGED = "changed"  # an analysis came to another result than the one that stands
    AS_SIGNED = "as_signed"  # an analysis came to the signed result again
    AS_REJECTED = "as_rejected"  # an analysis came to the rejected result again
    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"


_NONE, _PRELIMINARY, _SIGNED = ReviewState.NONE, ReviewState.PRELIMINARY, ReviewState.SIGNED
_NEEDS_RE_REVIEW, _REJECTED = ReviewState.NEEDS_RE_REVIEW, ReviewState.REJECTED

TRANSITIONS: Mapping[tuple[ReviewState, ReviewEvent], ReviewState] = {
    (_NONE, ReviewEvent.PUBLISHED): _PRELIMINARY,
    (_PRELIMINARY, ReviewEvent.CHANGED): _PRELIMINARY,
    (_PRELIMINARY, ReviewEvent.ACCEPT): _SIGNED,
    (_PRELIMINARY, ReviewEvent.CORRECT): _SIGNED,
    (_PRELIMINARY, ReviewEvent.REJECT): _REJECTED,
    (_SIGNED, ReviewEvent.CHANGED): _NEEDS_RE_REVIEW,
    (_SIGNED, ReviewEvent.CORRECT): _SIGNED,
    (_SIGNED, ReviewEvent.REJECT): _REJECTED,
    (_NEEDS_RE_REVIEW, ReviewEvent.CHANGED): _NEEDS_RE_REVIEW,
    (_NEEDS_RE_REVIEW, ReviewEvent.AS_SIGNED): _SIGNED,
    (_NEEDS_RE_REVIEW, ReviewEvent.AS_REJECTED): _REJECTED,
    (_NEEDS_RE_REVIEW, ReviewEvent.ACCEPT): _SIGNED,
    (_NEEDS_RE_REVIEW, ReviewEvent.CORRECT): _SIGNED,
    (_NEEDS_RE_REVIEW, ReviewEvent.REJECT): _REJECTED,
    (_REJECTED, ReviewEvent.CHANGED): _NEEDS_RE_REVIEW,
    (_REJECTED, ReviewEvent.CORRECT): _SIGNED,
}
"""Every transition that is allowed; `next_state` refuses all others."""

_WHY_NOT: Mapping[ReviewState, tuple[str, str]] = {
    _NONE: ("Nothing was published for this study.", "Administrator: `tbsnode study trace UID` says why."),
    _SIGNED: (
        "The result is signed already.",
        "Reading physician: `tbsnode study correct` or `reject` changes it.",
    ),
    _REJECTED: (
        "The result is rejected already.",
        "Reading physician: `tbsnode study correct` makes a new one.",
    ),
}
_OF_THE_NODE = frozenset(
    {ReviewEvent.PUBLISHED, ReviewEvent.CHANGED, ReviewEvent.AS_SIGNED, ReviewEvent.AS_REJECTED}
)


def next_state(state: ReviewState, event: ReviewEvent, *, known: str = "") -> ReviewState:
    """Return the state that an event leads to.

    Parameters
    ----------
    state : ReviewState
        Where the result stands.
    event : ReviewEvent
        What happens.
    known : str
        What is known about the state, in place of its general words: "It was signed by ...".

    Raises
    ------
    ReviewRefused
        If `TRANSITIONS` has no such row; says why and who must act.

    Examples
    --------
    >>> next_state(ReviewState.PRELIMINARY, ReviewEvent.ACCEPT).value
    'signed'
    """
    after = TRANSITIONS.get((state, event))
    if after is not None:
        return after
    if event in _OF_THE_NODE:
        raise ReviewRefused(
            f"A result that is {state.value} cannot become {event.value}.",
            remedy="Please report this with the output of `tbsnode study show UID --json`.",
        )
    why, who = _WHY_NOT[state]
    raise ReviewRefused(known or why, remedy=who)


def acting_reviewer(policy: Policy) -> tuple[Reviewer, str]:
    """Return who runs this process, as the configuration lists them, and on which machine.

    The login decides, as `acting.login` knows it; no option and no environment variable names another
    person.

    Raises
    ------
    NotAReviewer
        If the login is not listed, or the account has no name.
    """
    login = acting.login()
    if not login:
        raise NotAReviewer(
            f"The account with the number {acting.account()} has no login name.",
            remedy="Administrator: let the reviewer work under an account of their own.",
        )
    for reviewer in policy.reviewers:
        if reviewer.login == login:
            return reviewer, socket.gethostname()
    raise NotAReviewer(
        f"The login {login} may not sign; nothing was changed.",
        remedy="Administrator: list it under [interpretation] reviewers, if its owner is to sign.",
    )
