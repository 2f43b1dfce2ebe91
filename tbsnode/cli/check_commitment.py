"""Storage commitment in `tbsnode check`: who takes our requests, and who takes our reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import PeerError

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.model import Peer


def of_destination(peer: Peer) -> Iterator[Line]:
    """Ask a destination whether it takes what we are to ask of it.

    Raises
    ------
    PeerError
        If it cannot be asked.
    """
    from tbsnode.net import commitment

    if not peer.commitment:
        return
    what = f"destination {peer.name}"
    if commitment.offers(peer).takes_requests:
        yield Line(
            what,
            f"takes requests for storage commitment (we are SCU); it must know where {peer.calling_ae_title} "
            "listens, for its reports",
        )
        return
    yield Line(
        what,
        "offers no storage commitment: results are looked for with a query, and never called committed.",
        f"Ask its administrator to offer it to {peer.calling_ae_title}, or set commitment = false.",
        PeerError.exit_code,
    )


def of_callers(config: Config) -> Iterator[Line]:
    """Ask each caller with a port and an address whether it takes our reports, where it is there now."""
    from tbsnode import node
    from tbsnode.net import commitment

    for peer in node.reported_callers(config):
        what = f"caller {peer.ae_title}"
        if not peer.host:
            yield Line(what, f"gets reports of storage commitment at port {peer.port} of where it calls from")
            continue
        where = f"{peer.host}:{peer.port}"
        try:
            takes = commitment.offers(peer).takes_reports
        except PeerError as error:
            yield Line(what, f"is not there now for reports of storage commitment: {error.message}")
            continue
        if takes:
            yield Line(what, f"takes reports of storage commitment at {where} (we are SCP)")
        else:
            remedy = f"Let it accept {peer.calling_ae_title} in the SCP role, or take out its port."
            text = f"does not take reports of storage commitment at {where}."
            yield Line(what, text, remedy, PeerError.exit_code)
