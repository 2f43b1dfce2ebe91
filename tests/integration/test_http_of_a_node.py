"""A node that serves: what a watcher sees of receiver, worker and sender together."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers

pytestmark = [pytest.mark.peer, pytest.mark.slow]

WHO = acquisition.PatientTags(patient_id="CANARY-77", name="Canary^Zoe", birth_date="19510203")


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def value(port: int, sample: str) -> float:
    """Return a sample of /metrics; 0 where there is none yet."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", get(port, "/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for(port: int, sample: str, wanted: float) -> None:
    deadline = time.monotonic() + 60
    while value(port, sample) < wanted:
        assert time.monotonic() < deadline, get(port, "/metrics")[1]
        time.sleep(0.2)


def test_a_watcher_sees_the_whole_node_and_no_patient(tmp_path: Path) -> None:
    (image,) = acquisition.study("display", patient=WHO, seed=1, options=acquisition.Options(small=True))
    with peers.storescp(tmp_path) as pacs:
        node = nodes.Node(
            tmp_path / "node",
            peers.free_port(),
            [nodes.Destination("pacs", pacs.ae_title, pacs.port)],
            http_port=peers.free_port(),
        )
        port = node.http_port
        with nodes.serving(node):
            nodes.send(node.port, nodes.write(tmp_path / "sent", [image]))
            wait_for(port, 'tbsnode_end_to_end_seconds_count{destination="pacs"}', 1)
            assert get(port, "/health/ready") == (200, get(port, "/health/ready")[1])
            assert json.loads(get(port, "/health/ready")[1])["status"] == "ready"
            assert value(port, "tbsnode_ingest_seconds_count") == 1
            assert value(port, 'tbsnode_instances_total{outcome="stored"}') == 1
            assert value(port, 'tbsnode_work_seconds_count{kind="study"}') == 1
            assert value(port, 'tbsnode_work_seconds_count{kind="delivery"}') == 1
            assert value(port, 'tbsnode_associations_total{end="released"}') >= 1
            text = get(port, "/metrics")[1]
            uid = str(dcmread(BytesIO(image), stop_before_pixels=True).StudyInstanceUID)
            assert not re.search(f"canary|19510203|{re.escape(uid)}", text, re.IGNORECASE)
            # a child that dies takes no count with it
            (receiver,) = [pid for pid, name in node.children().items() if name == "receive-0"]
            os.kill(receiver, signal.SIGKILL)
            peers.wait_until(
                lambda: (
                    [pid for pid, name in node.children().items() if name == "receive-0"]
                    not in ([], [receiver])
                ),
                "another receiver",
            )
            node.wait_receiving()
            nodes.send(node.port, nodes.write(tmp_path / "again", [image]))
            wait_for(port, 'tbsnode_instances_total{outcome="duplicate"}', 1)
            assert value(port, 'tbsnode_instances_total{outcome="stored"}') == 1
