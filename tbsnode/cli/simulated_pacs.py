"""The PACS of the demonstration: keeps what a node sends, one folder a study."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbsnode.model import ReceivedInstance

_LOOPBACK = "127.0.0.1"


class Pacs:
    """A storage SCP that keeps what it gets: one folder a study.

    Parameters
    ----------
    folder : Path
        Where to keep it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._kept: dict[tuple[str, str], Path] = {}
        self._lock = threading.Lock()

    def keep(self, received: ReceivedInstance) -> None:
        """Put an instance into its study's folder, and a PDF beside it as a file of its own."""
        from tbsnode.dicom import identity, sop_classes

        study = identity.read_identity(received.path).study_instance_uid
        kind = "pdf" if received.sop_class_uid == sop_classes.PDF else "sr"
        kept = self.folder / study / f"{kind}-{received.sop_instance_uid}.dcm"
        kept.parent.mkdir(parents=True, exist_ok=True)
        received.path.replace(kept)
        if kind == "pdf":
            kept = _document(kept)
        with self._lock:
            self._kept[study, kind] = kept

    def find(self, study: str, kind: str) -> Path | None:
        """Return what a study got last of a kind, ``"sr"`` or ``"pdf"``."""
        with self._lock:
            return self._kept.get((study, kind))


def _document(instance: Path) -> Path:
    """Copy the PDF out of its instance, where it lies as it is, for viewers that know no DICOM."""
    stored = instance.read_bytes()
    end = b"%%EOF"
    document = stored[stored.index(b"%PDF-") : stored.rindex(end) + len(end)]
    path = instance.with_suffix(".pdf")
    path.write_bytes(document + b"\n")
    return path


@contextmanager
def run(folder: Path, *, ae_title: str, node_ae_title: str) -> Iterator[Pacs]:
    """Run a PACS on this machine, on a free port, for one node.

    Parameters
    ----------
    folder : Path
        What it gets is kept here.
    ae_title, node_ae_title : str
        Its AE title, and the only one that may send to it.
    """
    from tbsnode.dicom import sop_classes
    from tbsnode.net.scp import Caller, ScpSettings, StorageScp

    pacs = Pacs(folder)
    incoming = folder / "incoming"
    incoming.mkdir(parents=True)
    scp = StorageScp(
        ScpSettings(
            ae_title=ae_title,
            bind=_LOOPBACK,
            port=0,
            callers=(Caller(node_ae_title, _LOOPBACK),),
            incoming=incoming,
            storage_classes=tuple(sop_classes.STORAGE.values()),
            transfer_syntaxes=tuple(sop_classes.TRANSFER_SYNTAXES),
        ),
        pacs.keep,
        lambda event: None,
    )
    scp.start()
    try:
        pacs.port = scp.port
        yield pacs
    finally:
        scp.stop()
