"""Storage commitment in the configuration, in `check` and in the conformance statement."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode import config as configuration
from tbsnode import node, receivers, supervisor
from tbsnode.cli import check_commitment, conformance
from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.net import commitment
from tbsnode.net.scp import Caller
from tbsnode.pipeline import receive
from tests import commitment_peer, peers


def load(folder: Path, text: str) -> configuration.Config:
    path = folder / "tbsnode.toml"
    path.write_text(text, encoding="utf-8")
    return configuration.load(path)


def destination(port: int, commitment: str = "true") -> str:
    return (
        f'[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "{peers.LOOPBACK}"\nport = {port}\n'
        f"commitment = {commitment}\n"
    )


def callers(*rows: str) -> str:
    return f"[receiver]\ncallers = [{', '.join(rows)}]\n"


# ---- configuration -------------------------------------------------------------------------------


def test_nobody_is_asked_by_default(tmp_path: Path) -> None:
    loaded = load(tmp_path, destination(104, "false"))
    assert not node.peers(loaded)[0].commitment
    assert node.policy(loaded).commitment_timeout_s == 24 * 3600.0
    assert node.reported_callers(loaded) == ()


def test_callers_with_a_port_are_reported_to(tmp_path: Path) -> None:
    rows = (
        '{ ae_title = "A", host = "192.0.2.1", port = 104 }',
        '{ ae_title = "B", host = "*", port = 105 }',
        '{ ae_title = "C", host = "192.0.2.0/24", port = 106 }',
        '{ ae_title = "D", host = "192.0.2.2" }',
    )
    found = node.reported_callers(load(tmp_path, callers(*rows)))
    assert [(peer.ae_title, peer.host, peer.port) for peer in found] == [
        ("A", "192.0.2.1", 104),
        ("B", "", 105),
        ("C", "", 106),
    ]
    assert {peer.calling_ae_title for peer in found} == {"TBSNODE"}


def test_a_caller_that_is_a_destination_over_tls_is_reported_to_over_tls(tmp_path: Path) -> None:
    rows = (
        '{ ae_title = "PACS", host = "192.0.2.0/24", port = 104 }',
        '{ ae_title = "PACS", host = "192.0.2.7", port = 105 }',
        '{ ae_title = "OTHER", host = "192.0.2.8", port = 104 }',
    )
    files = 'tls = { certificate = "a.crt", key = "a.key", ca = "ca.crt" }\n'
    loaded = load(tmp_path, callers(*rows) + destination(104) + files)
    same, other_port, other_title = node.reported_callers(loaded)
    (peer,) = node.peers(loaded)
    assert peer.tls is not None
    assert (same.tls, same.host) == (peer.tls, peer.host)  # its certificate names that host
    assert (other_port.tls, other_title.tls) == (None, None)


def test_a_caller_that_is_no_destination_is_reported_to_over_tls(tmp_path: Path) -> None:
    """With our own certificate; a host that is not written down cannot be looked for in its."""
    rows = (
        '{ ae_title = "A", host = "192.0.2.1", port = 2762, port_tls = true }',
        '{ ae_title = "B", host = "192.0.2.0/24", port = 2762, port_tls = true }',
        '{ ae_title = "C", host = "192.0.2.2", port = 2762 }',
    )
    own = '[receiver.tls]\ncertificate = "a.crt"\nkey = "a.key"\nca = "ca.crt"\n'
    named, anywhere, clear = node.reported_callers(load(tmp_path, callers(*rows) + own))
    assert named.tls is not None
    assert anywhere.tls is not None
    assert (named.tls.certificate, named.tls.ca) == (tmp_path / "a.crt", tmp_path / "ca.crt")
    assert (named.tls.verify_host, anywhere.tls.verify_host, clear.tls) == (True, False, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (destination(104), (Caller("PACS", peers.LOOPBACK),)),
        (destination(104, "false"), ()),
        (callers('{ ae_title = "PACS", host = "192.0.2.9" }') + destination(104), ()),
    ],
    ids=["its reports may come", "not asked", "what is written for it as a caller holds"],
)
def test_who_else_may_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[Caller, ...]
) -> None:
    monkeypatch.setattr(receive, "StorageScp", lambda settings, *_: settings)
    site = cast("Any", SimpleNamespace(archive=SimpleNamespace(incoming=tmp_path), database=None))
    reception = receivers.make_receiver(load(tmp_path, text), site)
    (settings,) = cast("Any", reception.scps)
    assert settings.reporters == expected


def test_a_sender_runs_where_there_is_something_to_send(tmp_path: Path) -> None:
    nobody = load(tmp_path, "")
    asking = load(tmp_path, callers('{ ae_title = "A", host = "*" }'))
    for loaded, expected in ((nobody, False), (asking, True), (load(tmp_path, destination(104)), True)):
        assert (("deliver", 0) in supervisor.slots(loaded, frozenset())) is expected


# ---- check ---------------------------------------------------------------------------------------


def test_check_asks_a_destination_for_the_class(tmp_path: Path) -> None:
    with commitment_peer.pacs() as pacs:
        (line,) = check_commitment.of_destination(node.peers(load(tmp_path, destination(pacs.port)))[0])
        assert line.ok
        assert line.text.startswith("takes requests for storage commitment (we are SCU)")
        off = node.peers(load(tmp_path, destination(pacs.port, "false")))[0]
        assert list(check_commitment.of_destination(off)) == []
        assert pacs.requests == []
    with commitment_peer.pacs(commitment=False) as pacs:
        (line,) = check_commitment.of_destination(node.peers(load(tmp_path, destination(pacs.port)))[0])
        assert line.exit_code == PeerError.exit_code
        assert line.remedy.endswith("or set commitment = false.")


def test_check_asks_callers_for_our_role(tmp_path: Path) -> None:
    def told(port: int, host: str = peers.LOOPBACK) -> tuple[bool, str]:
        row = f'{{ ae_title = "PACS", host = "{host}", port = {port} }}'
        (line,) = check_commitment.of_callers(load(tmp_path, callers(row)))
        return line.ok, line.text

    with commitment_peer.pacs() as scanner:
        assert told(scanner.port) == (
            True,
            f"takes reports of storage commitment at 127.0.0.1:{scanner.port} (we are SCP)",
        )
    ok, text = told(scanner.port)
    assert (ok, text.startswith("is not there now")) == (True, True)
    with commitment_peer.pacs(commitment=False) as scanner:
        ok, text = told(scanner.port)
        assert (ok, text.startswith("does not take reports")) == (False, True)
    assert told(104, "*") == (
        True,
        "gets reports of storage commitment at port 104 of where it calls from",
    )


# ---- conformance statement -----------------------------------------------------------------------


def test_the_statement_claims_what_is_configured(tmp_path: Path) -> None:
    on, off = (
        conformance.statement(load(tmp_path, destination(104, commitment)))
        for commitment in ("true", "false")
    )
    row = "| Storage Commitment Push Model | 1.2.840.10008.1.20.1 |"
    for statement in (on, off):
        assert row in statement
        assert "Storage Commitment (PS3.4 annex J): N-ACTION is answered Success after" in statement
    asks = "Storage commitment of what it stored is asked for (N-ACTION)"
    assert (asks in on, asks in off) == (True, False)


def test_our_own_files_of_tls_that_cannot_be_used_end_no_check(tmp_path: Path) -> None:
    """They ended `check` without a word, and for good every report and delivery of that moment."""
    row = f'{{ ae_title = "A", host = "{peers.LOOPBACK}", port = {peers.free_port()}, port_tls = true }}'
    (tmp_path / "half.pem").write_text("being renewed")
    own = '[receiver.tls]\ncertificate = "half.pem"\nkey = "half.pem"\nca = "half.pem"\n'
    loaded = load(tmp_path, callers(row) + own)
    (line,) = check_commitment.of_callers(loaded)
    assert "half.pem" in line.text
    (peer,) = node.reported_callers(loaded)
    with pytest.raises(PeerUnreachable, match=r"half\.pem"):
        commitment.offers(peer)
