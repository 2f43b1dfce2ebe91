"""A file of the archive that is not what was written: verify finds it, and it is never sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tbsnode.pipeline import backup, operate
from tests import desk, nodes, peers
from tests.desk import Desk


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Desk]:
    """A node at a desk whose destination nobody answers for: what is refused before that never got so far."""
    destination = nodes.Destination("pacs", "PACS", peers.free_port(), 'send = ["sr", "pdf", "source"]')
    with desk.desk(nodes.Node(tmp_path / "node", 11112, [destination])) as made:
        yield made


def taken(node: Desk, folder: Path) -> str:
    patient = acquisition.PatientTags(patient_id="DIGEST-1")
    options = acquisition.Options(small=True, anatomy_seed=7)
    made = acquisition.study("display", patient=patient, seed=7, options=options)
    return node.take(nodes.write(folder, made))


def delivered(node: Desk, uid: str) -> dict[str, object]:
    node.work()
    (row,) = node.ledger.deliveries(uid)
    return row


@pytest.mark.parametrize(
    ("kind", "damage"), [("sr", "one bit"), ("pdf", "cut"), ("source", "one bit"), ("source", "gone")]
)
def test_a_damaged_file_is_found_and_not_sent(node: Desk, tmp_path: Path, kind: str, damage: str) -> None:
    uid = taken(node, tmp_path / "in")
    rows = node.ledger.instances(uid) if kind == "source" else node.ledger.made(uid)
    (row,) = [each for each in rows if kind == "source" or each["kind"] == kind]
    path = node.ledger.archived(row["path"])
    whole = path.read_bytes()
    path.chmod(0o600)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-9] if damage == "cut" else whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    (fault,) = backup.verify(node.site, track=lambda files: files)
    assert fault.path == row["path"]

    refused = delivered(node, uid)
    assert refused["state"] == "failed"
    assert kind.upper() in str(refused["last_error"])
    assert "db verify" in str(refused["last_error"])
    assert node.ledger.answers(uid, "pacs") == []

    path.write_bytes(whole)
    operate.queue_retry(node.site, [f"delivery/{refused['id']}"])
    again = delivered(node, uid)
    assert again["state"] == "queued"  # now it went as far as the peer, which is not there
    assert "digest" not in str(again["last_error"])


def test_an_undamaged_archive_is_sent(node: Desk, tmp_path: Path) -> None:
    uid = taken(node, tmp_path / "in")
    assert list(backup.verify(node.site, track=lambda files: files)) == []
    assert delivered(node, uid)["state"] == "queued"
