"""A disk below its watermark: the sender is told to keep its copy, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

MORE_THAN_ANY_DISK = 1 << 60

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def image(folder: Path, patient_id: str) -> Path:
    """Write a study of one image."""
    patient = acquisition.PatientTags(patient_id=patient_id)
    options = acquisition.Options(small=True, anatomy_seed=7)
    return nodes.write(folder, acquisition.study("display", patient=patient, seed=7, options=options))[0]


def test_a_full_disk_is_answered_and_the_study_arrives_later(tmp_path: Path) -> None:
    path = image(tmp_path / "sent", "DISK-1")
    uid = str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)
    with peers.storescp(tmp_path) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(tmp_path / "node", peers.free_port(), [destination])
        ledger = Ledger(node)
        node.min_free_bytes = MORE_THAN_ANY_DISK
        with nodes.serving(node):
            refused = store(node.port, path)
            assert "0xa700" in refused.lower(), refused
            assert ledger.rows("SELECT id FROM tbs_instance") == []
            assert node.incoming() == []
            assert "disk" in node.log.read_text()
            assert node.stop() == 0

            node.min_free_bytes = 0
            node.write()
            node.start()
            assert "0x0000" in store(node.port, path)
            assert ledger.settle(uid)["state"] == "done"
            assert len(pacs.files()) == 2
            assert "Traceback" not in node.log.read_text()


def store(port: int, path: Path) -> str:
    """Send one file with DCMTK and return what it said, statuses included."""
    argv = ["storescu", "-d", "-aet", nodes.CALLER, "-aec", nodes.AE_TITLE, peers.LOOPBACK, str(port), path]
    return peers.run(argv).stdout
