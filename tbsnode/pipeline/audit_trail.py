"""The audit trail for the person who has to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.store import audit, audit_chain

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site
    from tbsnode.store.audit import EventFilter
    from tbsnode.store.audit_chain import Track, Verdict
    from tbsnode.store.records import EventRow


def events(site: Site, wanted: EventFilter, *, limit: int) -> tuple[EventRow, ...]:
    """Return the newest events that match, newest first."""
    with site.database.read() as tx:
        return audit.recent_events(tx, limit, wanted)


def verify(site: Site, *, track: Track, expect: str = "") -> Verdict:
    """Compute the chain of the audit trail again, from its beginning; `track` shows how far it is."""
    with site.database.read() as tx:
        return audit_chain.verify(tx, expect=expect, track=track)
