"""An event report of ours on the association on which the peer asked for it.

pynetdicom's own call would wait for the answer whatever else the peer does: a peer that releases
instead of answering would wait for us, and one that asks on while it answers would not be heard.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Less than the time after which the reconciler takes work for lost.
PATIENCE_S: Final = 4.0
# A peer that waits for its report elsewhere releases as soon as it has our answer.
_FAREWELL_S = 0.3
_LOOK_S = 0.01
_MESSAGE_ID = 1


def send_report(assoc: Any, context_id: int, information: Dataset, event: tuple[str, str, int]) -> int | None:
    """Send an N-EVENT-REPORT to the peer that opened an association, in that association's own thread.

    Parameters
    ----------
    assoc : Acceptor
        The association; requests that come meanwhile are served.
    context_id : int
        Its presentation context.
    information : Dataset
        Event Information.
    event : tuple
        SOP Class UID, SOP Instance UID and Event Type ID.

    Returns
    -------
    int or None
        The peer's DIMSE status; None where it released, aborted or did not answer in time.
    """
    if not _stays(assoc):
        return None
    syntax = assoc._accepted_cx[context_id].transfer_syntax[0]
    encoded = encode(information, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    assert encoded is not None, "the data set is ours"
    request = N_EVENT_REPORT()
    request.MessageID = _MESSAGE_ID
    request.AffectedSOPClassUID = UID(event[0])
    request.AffectedSOPInstanceUID = UID(event[1])
    request.EventTypeID = event[2]
    request.EventInformation = BytesIO(encoded)
    assoc.dimse.send_msg(request, context_id)
    return _answer(assoc)


def _stays(assoc: Any) -> bool:
    """Tell whether the peer keeps the association open after our answer."""
    deadline = time.monotonic() + _FAREWELL_S
    while time.monotonic() < deadline:
        if _is_leaving(assoc):
            return False
        assoc.turning.turn(_LOOK_S)
    return True


def _is_leaving(assoc: Any) -> bool:
    gone = not assoc.is_established or not assoc.dul.is_alive()
    return gone or not assoc.dul.to_user_queue.empty()  # a release or an abort waits to be seen


def _answer(assoc: Any) -> int | None:
    deadline = time.monotonic() + PATIENCE_S - _FAREWELL_S
    while time.monotonic() < deadline:
        context_id, message = assoc.dimse.get_msg(block=False)
        if message is None:
            if _is_leaving(assoc):
                return None
            assoc.turning.turn(_LOOK_S)
        elif isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None:
            return int(message.Status) if message.Status is not None else None
        else:
            assoc._serve_request(message, context_id)
    return None
