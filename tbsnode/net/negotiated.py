"""What two application entities agreed on: one line of the log at level debug (PS3.7 D.3.2)."""

from __future__ import annotations

import logging

from pynetdicom.association import Association

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
        extra = {"action": "association.negotiated", **extras}
        log.debug("with %s: %s", whom, describe(assoc), extra=extra)


def describe(assoc: Association) -> str:
    """Return the SOP classes with the transfer syntaxes that were accepted, or why there is none."""
    agreed: dict[str, list[str]] = {}
    for context in assoc.accepted_contexts:
        agreed.setdefault(_name(context.abstract_syntax), []).append(_name(context.transfer_syntax[0]))
    for context in assoc.rejected_contexts:
        agreed.setdefault(_name(context.abstract_syntax), [])
    why = {_name(context.abstract_syntax): context.status.lower() for context in assoc.rejected_contexts}
    words = (
        f"{name} in {' and '.join(got)}" if got else f"{name}: {why[name]}" for name, got in agreed.items()
    )
    return "; ".join(words) or "no presentation context"


def _name(uid: object) -> str:
    """Return the name of a UID, or the UID where it has none in the standard."""
    return str(getattr(uid, "name", uid))
