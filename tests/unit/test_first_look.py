"""What keeps results from somebody is said when `serve` starts: not everybody runs `check` before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tbsnode.model import Reviewer
from tbsnode.pipeline import first_look
from tests import desk, nodes, peers


def test_a_full_disk_and_nobody_who_signs_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pacs = nodes.Destination("pacs", "PACS", 9)
    with desk.desk(nodes.Node(tmp_path / "node", peers.free_port(), [pacs])) as at:
        signed = tuple(replace(peer, release="signed") for peer in at.site.peers)
        full = replace(at.site.policy, min_free_bytes=1 << 60, reviewers=())
        first_look.warn(replace(at.site, peers=signed, policy=full))
        disk, nobody = caplog.messages
        assert "0xA700" in disk
        assert "pacs gets signed results only" in nobody
        caplog.clear()
        somebody = (Reviewer(login="jdoe", name="Doe^Jane", organization="Clinic"),)
        first_look.warn(
            replace(at.site, peers=signed, policy=replace(full, min_free_bytes=0, reviewers=somebody))
        )
        assert caplog.messages == []
