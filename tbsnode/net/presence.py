"""Whether a peer has instances: C-FIND at the level of the instance (PS3.4 C.6.2), one query for each.

It stands in where an archive offers no storage commitment. That a query shows an instance is no
promise to keep it, so what comes of this is never called committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from tbsnode.errors import PeerError
from tbsnode.net import status
from tbsnode.net.requestor import PENDING, answers_to, association, broken_query, named
from tbsnode.net.upper_layer import IMPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from tbsnode.model import Peer, Reference


class NoQuery(PeerError):
    """The peer cannot be asked what it has."""


def present(peer: Peer, wanted: Sequence[Reference]) -> frozenset[str]:
    """Return which of the wanted SOP Instance UIDs a peer shows.

    Raises
    ------
    NoQuery
        If the peer does not offer Study Root queries, or fails one at this level.
    PeerUnreachable, AssociationRejected
        As `scu.send`.
    """
    model = StudyRootQueryRetrieveInformationModelFind
    with association(peer, [(model, IMPLICIT_VR_LITTLE_ENDIAN)]) as assoc:
        if not assoc.accepted_contexts:
            raise NoQuery(f"{named(peer)} does not offer Study Root queries.", peer=peer.name)
        numbered = enumerate(wanted, start=1)
        return frozenset(each.sop_instance_uid for n, each in numbered if _shows(peer, assoc, each, n))


def _shows(peer: Peer, assoc: Association, wanted: Reference, message_id: int) -> bool:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = wanted.study_instance_uid
    identifier.SeriesInstanceUID = wanted.series_instance_uid
    identifier.SOPInstanceUID = wanted.sop_instance_uid
    if not assoc.is_established:
        raise broken_query(peer)
    shown = False
    model = StudyRootQueryRetrieveInformationModelFind
    for code, match in answers_to(peer, assoc.send_c_find(identifier, model, msg_id=message_id)):
        if code in PENDING and match is not None:
            shown = shown or str(match.get("SOPInstanceUID", "") or "") == wanted.sop_instance_uid
        elif code not in (*PENDING, status.SUCCESS):
            text = f"{named(peer)} failed a query for an instance: {status.describe(code)}."
            raise NoQuery(text, peer=peer.name)
    return shown
