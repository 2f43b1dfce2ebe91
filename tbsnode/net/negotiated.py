"""What two application entities agreed on: one line of the log at level debug (PS3.7 D.3.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from tbsnode.net import pdu

log = logging.getLogger(__name__)


def tell(assoc: Association, whom: str, **extras: str) -> None:
    """Log what became of every presentation context; nothing above level debug.

    Parameters
    ----------
    assoc : pynetdicom.association.Association
        Negotiated.
    whom : str
        The other side, for an administrator.
    **extras : str
        More for the log entry.
    """
    if log.isEnabledFor(logging.DEBUG):
        _tell(describe(assoc), whom, extras)


def tell_answers(answers: Sequence[pdu.Answered], whom: str, **extras: str) -> None:
    """Log what we answered to an ordinary request, as `tell` does."""
    if log.isEnabledFor(logging.DEBUG):
        _tell(_in_words(map(_as_context, answers)), whom, extras)


def _tell(words: str, whom: str, extras: dict[str, str]) -> None:
    log.debug("with %s: %s", whom, words, extra={"action": "association.negotiated", **extras})


def describe(assoc: Association) -> str:
    """Return the SOP classes with the transfer syntaxes that were accepted, or why there is none."""
    return _in_words([*assoc.accepted_contexts, *assoc.rejected_contexts])


def _in_words(contexts: Iterable[PresentationContext]) -> str:
    agreed: dict[str, list[str]] = {}
    why: dict[str, str] = {}
    for context in contexts:
        got = agreed.setdefault(_name(context.abstract_syntax), [])
        if context.result == pdu.ACCEPTED:
            got.append(_name(context.transfer_syntax[0]))
        else:
            why[_name(context.abstract_syntax)] = context.status.lower()
    words = (
        f"{name} in {' and '.join(got)}" if got else f"{name}: {why[name]}" for name, got in agreed.items()
    )
    return "; ".join(words) or "no presentation context"


def _as_context(answer: pdu.Answered) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(answer.abstract_syntax)
    context.transfer_syntax = [UID(answer.transfer_syntax)]
    context.result = answer.result
    return context


def _name(uid: object) -> str:
    """Return the name of a UID, or the UID where it has none in the standard."""
    return str(getattr(uid, "name", uid))
