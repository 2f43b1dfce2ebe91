"""The first sending of a study waits until the destination shows the study itself.

Some archives file a result that comes before its images under a patient of its own, or refuse it. The
wait is the delivery's row: nothing blocks, and a restart loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.net import scu
from tbsnode.store import audit, deliveries, work

if TYPE_CHECKING:
    from tbsnode.pipeline.outgoing import Job
    from tbsnode.pipeline.site import Site

_LOOKS = 20  # at most so many, evenly over the wait
_SHORTEST_S, _LONGEST_S = 1.0, 30.0


def waits(site: Site, job: Job) -> bool:
    """Ask the destination for the study, and put the delivery off if it is not there yet.

    Parameters
    ----------
    site : Site
        The node.
    job : Job
        A started delivery.

    Returns
    -------
    bool
        True where the delivery was put off. A destination that gets the originals from us, that has
        something of the study from us, or that offers no query is not waited for; one that does not
        show the study in time gets the result anyway, with an event.

    Raises
    ------
    PeerUnreachable, AssociationRejected
        If the destination cannot be reached; the delivery is tried again later.
    """
    peer = job.peer
    if peer.wait_for_study_s <= 0 or "source" in peer.send or job.answered:
        return False
    with site.database.read() as tx:
        row = deliveries.delivery_of(tx, job.ticket.row_id)
        if peer.name in deliveries.takers(tx, job.study.id):
            return False
    try:
        if scu.find_study(peer, job.study.study_instance_uid) is not None:
            return False
    except (PeerUnreachable, AssociationRejected):
        raise
    except PeerError:
        return False  # it offers no query
    return _put_off(site, job, over=job.now - row["created_at"] >= peer.wait_for_study_s)


def _put_off(site: Site, job: Job, *, over: bool) -> bool:
    peer, uid = job.peer, job.study.study_instance_uid
    with site.database.transaction() as tx:
        if over:
            text = f"{peer.name} has not shown the study for {peer.wait_for_study_s:g} s: sent anyway"
            audit.add_event(tx, "delivery.study_not_seen", text, study_instance_uid=uid)
            return False
        delay_s = min(_LONGEST_S, max(_SHORTEST_S, peer.wait_for_study_s / _LOOKS))
        error = f"{peer.name} does not show the study yet"
        # a look is no try: the delays of an unreachable peer begin with its first failure
        work.postpone(tx, job.ticket, delay_s=delay_s, error=error, tries=0)
    return True
