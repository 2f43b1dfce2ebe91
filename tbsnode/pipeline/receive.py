"""The receiver at work: associations into timers, C-STOREs into intake."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tbsnode.net.scp import StorageScp
from tbsnode.pipeline import intake, metrics
from tbsnode.pipeline.closings import Closings, Ended
from tbsnode.pipeline.commitment_requests import Commitments
from tbsnode.store import audit, readiness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import ReceivedInstance
    from tbsnode.net.scp import AssociationEvent, ScpSettings
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)


class Reception:
    """A storage SCP whose instances and associations go where they belong.

    Parameters
    ----------
    site : Site
        Archive, database and policy.
    listening : sequence of ScpSettings
        Addresses, callers, accepted classes: clear text, TLS, or both.
    name : str
        Names this receiver in the table of associations, the same at every start.
    """

    def __init__(self, site: Site, listening: Sequence[ScpSettings], *, name: str) -> None:
        self.site = site
        self.name = name
        commitments = Commitments(site)
        self._closings = Closings(site.database)
        self._bringing: set[str] = set()  # associations with a row: an echo costs no transaction
        self.scps = tuple(StorageScp(each, self._store, self._association, commitments) for each in listening)

    def start(self) -> None:
        """Put right what a previous life left, then listen; on every port, or on none."""
        with self.site.database.transaction() as tx:
            readiness.forget_associations(tx, receiver=self.name, quiet_s=self.site.policy.timing.quiet_s)
        self._closings.start()
        with ExitStack() as undo:
            undo.callback(self.stop)
            for scp in self.scps:
                scp.start()
            undo.pop_all()

    def stop(self) -> None:
        """Stop listening; what is being received is finished or aborted."""
        for scp in self.scps:
            scp.stop()
        self._closings.stop()

    def _store(self, received: ReceivedInstance) -> None:
        with metrics.timed_ingest():
            is_open = received.association_id in self._bringing
            taken = intake.take(self.site, received, receiver=self.name, is_open=is_open)
        metrics.INSTANCES.labels(taken.outcome).inc()
        if taken.outcome != intake.DUPLICATE:
            self._bringing.add(received.association_id)

    def _association(self, event: AssociationEvent) -> None:
        ended_badly = event.kind != "opened" and event.text
        log.log(
            logging.WARNING if ended_badly else logging.INFO,
            "%s at %s%s",
            event.calling_ae_title or "somebody",
            event.host,
            f": {event.text}" if event.text else "",
            extra={"action": f"association.{event.kind}", "association_id": event.association_id},
        )
        if event.kind != "opened":
            metrics.ASSOCIATIONS.labels(event.kind).inc()
        if event.kind == "rejected":
            with self.site.database.transaction() as tx:
                audit.add_event(tx, "association.rejected", event.text)
        elif event.kind != "opened" and event.association_id in self._bringing:
            self._bringing.discard(event.association_id)
            timing = self.site.policy.timing_for(event.calling_ae_title)
            self._closings.add(
                Ended(
                    association_id=event.association_id,
                    outcome=event.kind,
                    after_release_s=timing.after_release_s,
                )
            )
