"""Record the associations of the corpus anew: DCMTK and pynetdicom, and a caller that breaks off.

Run as ``python -m tests.fuzz.record``; needs DCMTK.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE
from pynetdicom.sop_class import SecondaryCaptureImageStorage, Verification  # type: ignore[attr-defined]

from tests import peers, raw_peer
from tests.fuzz.associations import Recorder
from tests.fuzz.targets import CORPUS
from tests.raw_peer import Caller
from tests.receiving_node import ReceivingNode, write_instance


def _dcmtk_echo(port: int) -> None:
    peers.run(["echoscu", "-aet", "ECHOSCU", "-aec", "TBSNODE", peers.LOOPBACK, str(port)])


def _dcmtk_store(image: Path, *options: str) -> object:
    argv = ["storescu", "-aet", "STORESCU", "-aec", "TBSNODE", *options, peers.LOOPBACK]
    return lambda port: peers.run([*argv, str(port), image])


def _pynetdicom(image: Path, *, abort: bool) -> object:
    def call(port: int) -> None:
        ae = AE("PYNETDICOM")
        ae.add_requested_context(Verification)
        ae.add_requested_context(SecondaryCaptureImageStorage, [ExplicitVRLittleEndian, JPEGLosslessSV1])
        association = ae.associate(peers.LOOPBACK, port, ae_title="TBSNODE", max_pdu=1024)
        association.send_c_echo()
        association.send_c_store(dcmread(image))
        association.send_c_store(dcmread(image))
        if abort:
            association.abort()
        else:
            association.release()

    return call


def _breaks_off(port: int) -> None:
    with Caller(port) as caller:
        caller.associate()
        caller.send(raw_peer.data(raw_peer.store_command(), control=3), raw_peer.data(bytes(512), control=0))
        caller.send(raw_peer.pdu(raw_peer.ABORT, bytes(4)))


def main() -> None:
    """Write every recording."""
    folder = CORPUS / "associations"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        image = write_instance(Path(scratch) / "small.dcm", rows=16)
        calls = {
            "echo-dcmtk": _dcmtk_echo,
            "store-dcmtk": _dcmtk_store(image),
            "store-dcmtk-small-pdu": _dcmtk_store(image, "--max-send-pdu", "4096"),
            "store-dcmtk-all-classes": _dcmtk_store(image, "-xf", "/etc/dcmtk/storescu.cfg", "Default"),
            "store-pynetdicom": _pynetdicom(image, abort=False),
            "store-pynetdicom-abort": _pynetdicom(image, abort=True),
            "breaks-off": _breaks_off,
        }
        node = ReceivingNode(Path(scratch))
        node.scp.start()
        recorder = Recorder(node.port)
        for name, call in calls.items():
            said = recorder.record(call)  # type: ignore[arg-type]
            (folder / name).write_bytes(said)
            print(f"{name}: {len(said)} bytes")
        recorder.close()
        node.scp.stop()


if __name__ == "__main__":
    main()
