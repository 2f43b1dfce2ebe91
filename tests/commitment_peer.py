"""A PACS for storage commitment whose timing and answers a test decides (pynetdicom, in this process)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, build_role, evt

from tests import peers

PUSH_MODEL, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
VERIFICATION = "1.2.840.10008.1.1"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def item(sop_class_uid: str, sop_instance_uid: str, reason: int | None = None) -> Dataset:
    """Return an item of a Referenced or Failed SOP Sequence."""
    made = Dataset()
    made.add(DataElement("ReferencedSOPClassUID", "UI", sop_class_uid, validation_mode=IGNORE))
    made.add(DataElement("ReferencedSOPInstanceUID", "UI", sop_instance_uid, validation_mode=IGNORE))
    if reason is not None:
        made.FailureReason = reason
    return made


def request_of(transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    """Return the Action Information of a request."""
    made = Dataset()
    made.add(DataElement("TransactionUID", "UI", transaction_uid, validation_mode=IGNORE))
    made.ReferencedSOPSequence = [item(*each) for each in instances]
    return made


def report_of(request: Dataset, failed: dict[str, int] | None = None) -> tuple[Dataset, int]:
    """Return Event Information and Event Type ID of a report on a request."""
    failed = failed or {}
    made = Dataset()
    made.TransactionUID = request.TransactionUID
    asked = [(e.ReferencedSOPClassUID, e.ReferencedSOPInstanceUID) for e in request.ReferencedSOPSequence]
    kept = [item(*each) for each in asked if each[1] not in failed]
    lost = [item(*each, failed[each[1]]) for each in asked if each[1] in failed]
    if kept:
        made.ReferencedSOPSequence = kept
    if lost:
        made.FailedSOPSequence = lost
    return made, 2 if lost else 1


class Pacs:
    """A PACS; `statuses` answer requests and reports in turn, then 0x0000.

    Attributes
    ----------
    stored : dict
        SOP Class UID of each instance it has, by SOP Instance UID.
    requests : list of Dataset
        Each N-ACTION's information.
    answers : list of int
        What was answered to its reports.
    heard : list of (int, Dataset)
        Event Type ID and information of each report that came to it.
    reports_on_the_spot : bool
        Whether it reports on the association of the request, at once.
    hold : threading.Event or None
        An N-ACTION is answered only after it is set.
    """

    ae_title = "PACS"

    def __init__(self, *, commitment: bool = True, find: bool = False) -> None:
        self.stored: dict[str, str] = {}
        self.sent: list[str] = []
        self.requests: list[Dataset] = []
        self.answers: list[int] = []
        self.heard: list[tuple[int, Dataset]] = []
        self.statuses: list[int] = []
        self.failed: dict[str, int] = {}
        self.reports_on_the_spot = False
        self.hold: threading.Event | None = None
        self.ae = AE(self.ae_title)
        for context in StoragePresentationContexts:
            self.ae.add_supported_context(str(context.abstract_syntax), SYNTAXES)
        self.ae.add_supported_context(VERIFICATION, SYNTAXES)
        if commitment:
            self.ae.add_supported_context(PUSH_MODEL, SYNTAXES, scu_role=True, scp_role=True)
        if find:
            self.ae.add_supported_context(FIND, SYNTAXES)
        self.port = peers.free_port()
        self.handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._action),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_EVENT_REPORT, self._heard),
        ]
        self._server: Any = None

    def start(self) -> None:
        """Listen."""
        address = (peers.LOOPBACK, self.port)
        self._server = self.ae.make_server(address, evt_handlers=self.handlers)  # type: ignore[arg-type]
        self.ae._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stored[uid] = str(event.request.AffectedSOPClassUID)
        self.sent.append(uid)
        return 0x0000

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        wanted = event.identifier
        if wanted.QueryRetrieveLevel == "IMAGE" and wanted.SOPInstanceUID in self.stored:
            yield 0xFF00, wanted
        yield 0x0000, None

    def _action(self, event: Any) -> tuple[int, None]:
        self.requests.append(event.action_information)
        if self.hold is not None:
            self.hold.wait(20.0)
        status = self.statuses.pop(0) if self.statuses else 0x0000
        if status == 0 and self.reports_on_the_spot:
            threading.Thread(target=self._report_there, args=(event.assoc, self.requests[-1])).start()
        return status, None

    def _heard(self, event: Any) -> tuple[int, None]:
        self.heard.append((event.request.EventTypeID, event.event_information))
        return self.statuses.pop(0) if self.statuses else 0x0000, None

    def _report_there(self, assoc: Any, request: Dataset) -> None:
        # after the answer has gone out: the association's own thread sends it
        peers.wait_until(lambda: not assoc._is_paused, "the answer to the request", 5.0, every_s=0.001)
        information, kind = report_of(request, self.failed)
        answer, _ = assoc.send_n_event_report(information, kind, PUSH_MODEL, INSTANCE)
        self.answers.append(answer.get("Status", -1))

    def report(self, port: int, request: Dataset, failed: dict[str, int] | None = None) -> int:
        """Report on a new association, in the SCP role; return the status of the answer."""
        return report(port, *report_of(request, failed), calling=self.ae_title)


def report(
    port: int,
    information: Dataset,
    kind: int,
    *,
    calling: str = Pacs.ae_title,
    called: str = "TBSNODE",
    instance: str = INSTANCE,
) -> int:
    """Send one event report on a new association; return the status, -1 where there was none."""
    ae = AE(calling)
    ae.add_requested_context(PUSH_MODEL)
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)  # type: ignore[arg-type]
    assoc = ae.associate(peers.LOOPBACK, port, ae_title=called, ext_neg=[role])
    if not assoc.is_established or not assoc.accepted_contexts:
        ae.shutdown()
        return -1
    assert assoc.accepted_contexts[0].as_scp, "our role as SCP is accepted"
    answer, _ = assoc.send_n_event_report(information, kind, PUSH_MODEL, instance)  # type: ignore[arg-type]
    assoc.release()
    return int(answer.get("Status", -1))


@contextmanager
def pacs(**options: bool) -> Iterator[Pacs]:
    """Run a PACS until the block ends."""
    peer = Pacs(**options)
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()
