"""A receiving node for tests: `StorageScp` with a handler that keeps what it gets, or fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1

from tbsnode.model import ReceivedInstance
from tbsnode.net.scp import AssociationEvent, Caller, ScpSettings, StorageScp
from tests import peers, raw_peer
from tests.raw_peer import ASSOCIATE_AC, RELEASE_RP, RELEASE_RQ, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller

ANYONE = tuple(
    Caller(name, "127.0.0.1") for name in ("SCANNER", "ECHOSCU", "STORESCU", "DCMSEND", "PYNETDICOM")
)


def write_instance(
    path: Path, uid: str = "1.2.3.4.5", syntax: str = ExplicitVRLittleEndian, rows: int = 64
) -> Path:
    """Write a secondary capture with a private element and noise."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = SECONDARY_CAPTURE
    ds.SOPInstanceUID = uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.1"
    ds.PatientName, ds.PatientID = "Canary^Name", "CANARY-ID"
    ds.Rows = ds.Columns = rows
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.add_new(0x00231010, "OB", b"private!")
    ds.PixelData = np.random.default_rng(1).integers(0, 2**16, rows * rows, dtype=np.uint16).tobytes()
    ds.save_as(path, enforce_file_format=True)
    return path


def data_set(path: Path) -> bytes:
    """Return the encoded data set: what follows the File Meta Information."""
    content = path.read_bytes()
    return content[128 + 4 + 12 + int.from_bytes(content[140:144], "little") :]


class ReceivingNode:
    """A `StorageScp` that keeps what it gets, or raises `failure`."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.stored: list[ReceivedInstance] = []
        self.events: list[AssociationEvent] = []
        self.log: list[str] = []
        self.failure: Exception | None = None
        self.event_failure: Exception | None = None
        self.archive = folder / "archive"
        self.incoming = folder / "incoming"
        self.archive.mkdir()
        self.incoming.mkdir()
        defaults: dict[str, object] = {
            "ae_title": "TBSNODE",
            "bind": peers.LOOPBACK,
            "port": 0,
            "callers": ANYONE,
            "incoming": self.incoming,
            "storage_classes": frozenset({SECONDARY_CAPTURE}),
            "transfer_syntaxes": (ImplicitVRLittleEndian, JPEGLosslessSV1, ExplicitVRLittleEndian),
        }
        self.scp = StorageScp(ScpSettings(**{**defaults, **changes}), self._store, self._note)  # type: ignore[arg-type]

    def _store(self, received: ReceivedInstance) -> None:
        self.log.append("store")
        if self.failure is not None:
            raise self.failure
        received.path.rename(self.archive / received.sop_instance_uid)
        self.stored.append(received)

    def _note(self, event: AssociationEvent) -> None:
        self.log.append(event.kind)
        self.events.append(event)
        if self.event_failure is not None:
            raise self.event_failure

    @property
    def port(self) -> int:
        return self.scp.port

    def wait_for(self, *kinds: str) -> None:
        """Wait until the log is exactly this."""
        peers.wait_until(lambda: len(self.log) >= len(kinds), f"{kinds}, saw {self.log}")
        assert self.log == list(kinds)


def explicit(fragment: bytes = b"\x10\x00\x20\x00LO\x02\x00X ") -> bytes:
    return raw_peer.data(fragment, control=2)


def still_works(receiver: ReceivingNode) -> None:
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.data(raw_peer.store_command("1.9.9"), control=3), explicit())
        assert caller.status() == 0x0000
        caller.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
        assert caller.receive()[0] == RELEASE_RP
