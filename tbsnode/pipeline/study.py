"""One generation of one study, from ready to published."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tbsnode.pipeline import quarantine, refusal_pause, study_identity
from tbsnode.pipeline.assemble import assemble
from tbsnode.pipeline.publish import publish
from tbsnode.store import catalogue, work

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)


def process(site: Site, ticket: work.Ticket) -> None:
    """Assemble, analyze and publish the study of a ticket.

    A void ticket does nothing. Killed anywhere, it can simply run again: what it makes has derived
    names, and everything it decides is committed at its end in one transaction.

    Parameters
    ----------
    site : Site
        Archive, database, destinations and policy.
    ticket : Ticket
        Whose study, at which attempt.

    Raises
    ------
    ResourceError
        Nothing was decided; the engine tries again later.
    """
    with site.database.transaction() as tx:
        if not work.start(tx, ticket):
            return
        study = catalogue.study_by_id(tx, ticket.row_id)
        instances = catalogue.instances_of_study(tx, ticket.row_id)
        assert study is not None, "a started ticket has its row"
        if quarantine.ends(tx, ticket, study):
            return
    instances = study_identity.as_stated(site, study, instances)
    selection = refusal_pause.judged(site, study, assemble(site, study, instances))
    if publish(site, ticket, study, selection):
        log.info(
            "study %s generation %d: %s",
            study.study_instance_uid,
            study.generation,
            selection.state.value,
            extra={
                "action": f"study.{selection.state.value}",
                "study_instance_uid": study.study_instance_uid,
            },
        )
