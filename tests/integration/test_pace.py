"""A node that serves: its queues sleep while nothing is at hand, and a study wakes them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tbsnode.pace import ASLEEP_S
from tests import nodes, peers

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def polls(node: nodes.Node) -> dict[str, float]:
    """Return the time between two looks at each queue, as the job engine reads it."""
    with closing(sqlite3.connect(node.folder / "state" / "tbsnode.db")) as database:
        return dict(database.execute("SELECT name, polling_interval_sec FROM queues"))


def test_the_queues_sleep_and_are_woken_by_a_study(tmp_path: Path) -> None:
    who = acquisition.PatientTags(patient_id="PACE-1", name="Pace^Ann", birth_date="19510203")
    (image,) = acquisition.study("display", patient=who, seed=1, options=acquisition.Options(small=True))
    node = nodes.Node(
        tmp_path / "node", peers.free_port(), [nodes.Destination("pacs", "PACS", peers.free_port())]
    )
    with nodes.serving(node):
        asleep = {"analyze": ASLEEP_S, "deliver:pacs": ASLEEP_S, "report": ASLEEP_S}
        peers.wait_until(lambda: polls(node) == asleep, "the queues to sleep", 30)
        nodes.send(node.port, nodes.write(tmp_path / "sent", [image]))
        peers.wait_until(lambda: polls(node)["analyze"] < ASLEEP_S, "the worker's queue to wake", 30)
        peers.wait_until(lambda: polls(node)["deliver:pacs"] < ASLEEP_S, "the sender's queue to wake", 30)
