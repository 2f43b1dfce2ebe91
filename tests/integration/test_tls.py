"""TLS both ways: who is let in, who is not, and what an administrator reads about it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tbsnode.errors import ConfigError, PeerUnreachable
from tbsnode.model import Outgoing, Peer
from tbsnode.net import scu, tls
from tbsnode.net.callers import Caller
from tests import certificates, peers
from tests.certificates import Authority, Pem
from tests.raw_peer import SECONDARY_CAPTURE
from tests.receiving_node import ANYONE, ReceivingNode, write_instance

LOCAL = ("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificates.authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificates.authority(tmp_path_factory.mktemp("tls") / "theirs")


@pytest.fixture(scope="module")
def node(ours: Authority) -> Pem:
    return ours.issue("node", *LOCAL)


@pytest.fixture(scope="module")
def scanner(ours: Authority) -> Pem:
    return ours.issue("dxa-3.example.org", "dxa-3.example.org")


@pytest.fixture
def secured(make_receiver: Callable[..., ReceivingNode], ours: Authority, node: Pem) -> ReceivingNode:
    return make_receiver(tls=ours.files(node))


def peer_of(port: int, files: Any, calling: str = "SCANNER") -> Peer:
    return Peer(
        name="node", ae_title="TBSNODE", host="127.0.0.1", port=port, calling_ae_title=calling, tls=files
    )


def said(receiver: ReceivingNode) -> str:
    """Wait for the one rejected connection and return what is told of it."""
    peers.wait_until(lambda: len(receiver.events) >= 1, "the connection to be noted")
    (event,) = receiver.events
    assert event.kind == "rejected"
    return event.text


def test_a_caller_with_a_certificate_stores_over_tls(
    secured: ReceivingNode, ours: Authority, scanner: Pem, tmp_path: Path
) -> None:
    path = write_instance(tmp_path / "image.dcm", rows=512)
    item = Outgoing(
        path=path,
        sop_class_uid=SECONDARY_CAPTURE,
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    (outcome,) = scu.send(peer_of(secured.port, ours.files(scanner)), [item])
    assert outcome.category == "success"
    secured.wait_for("opened", "store", "released")


def test_without_a_certificate(secured: ReceivingNode, ours: Authority) -> None:
    context = ssl.create_default_context(cafile=str(ours.ca))
    with (
        socket.create_connection(("127.0.0.1", secured.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
        suppress(OSError),
    ):
        assert connection.recv(1) == b""
    assert "showed no certificate" in said(secured)


def test_a_stranger_is_refused(secured: ReceivingNode, ours: Authority, theirs: Authority) -> None:
    stranger = theirs.issue("stranger")
    answer = scu.echo(peer_of(secured.port, ours.files(stranger)))
    assert not answer.ok
    assert "does not trust the authority of our certificate" in answer.text
    assert "of no authority that is trusted here" in said(secured)


def test_an_expired_certificate_is_refused(secured: ReceivingNode, ours: Authority) -> None:
    late = ours.issue("late", days=-1)
    answer = scu.echo(peer_of(secured.port, ours.files(late)))
    assert not answer.ok
    assert "our certificate has expired" in answer.text
    assert "has expired" in said(secured)


def test_clear_text_on_the_tls_port(secured: ReceivingNode) -> None:
    answer = scu.echo(peer_of(secured.port, None))
    assert not answer.ok
    assert "this is no TLS" in said(secured)


def test_a_watcher_that_only_looks_whether_we_listen_is_no_event(
    secured: ReceivingNode, ours: Authority, scanner: Pem
) -> None:
    for _ in range(3):
        socket.create_connection(("127.0.0.1", secured.port)).close()
    assert scu.echo(peer_of(secured.port, ours.files(scanner))).ok
    secured.wait_for("opened", "released")


def test_a_web_browser(secured: ReceivingNode) -> None:
    with socket.create_connection(("127.0.0.1", secured.port)) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            browser.recv(100)
    assert "asked for a web page" in said(secured)


def test_tls_1_1_is_too_old(secured: ReceivingNode, ours: Authority, scanner: Pem) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ours.ca)
    context.load_cert_chain(scanner.certificate, scanner.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        pytest.raises(OSError, match=r"(?i)protocol|alert|version"),
        socket.create_connection(("127.0.0.1", secured.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        pass
    assert "no longer safe" in said(secured)


def test_a_handshake_that_never_comes_holds_up_nobody(
    make_receiver: Callable[..., ReceivingNode],
    ours: Authority,
    node: Pem,
    scanner: Pem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_S", 0.5)
    secured = make_receiver(tls=ours.files(node))
    with socket.create_connection(("127.0.0.1", secured.port)):
        assert scu.echo(peer_of(secured.port, ours.files(scanner))).ok
        peers.wait_until(lambda: any(e.kind == "rejected" for e in secured.events), "the silent one to end")
    assert "no TLS handshake" in next(e.text for e in secured.events if e.kind == "rejected")


def test_handshakes_that_never_come_keep_no_scanner_out(
    make_receiver: Callable[..., ReceivingNode], ours: Authority, node: Pem, scanner: Pem
) -> None:
    secured = make_receiver(tls=ours.files(node), max_associations=2, max_idle_connections=1)
    with ExitStack() as crowd:
        for _ in range(5):
            crowd.enter_context(socket.create_connection(("127.0.0.1", secured.port)))
        assert scu.echo(peer_of(secured.port, ours.files(scanner))).ok


def test_a_failed_handshake_does_not_go_on_as_long_as_something_comes(
    secured: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_LAST_WORDS_S", 0.5)
    with socket.create_connection(("127.0.0.1", secured.port)) as talker:
        talker.sendall(b"no TLS at all\r\n")
        peers.wait_until(lambda: _is_refused(talker), "what comes to be read no more")


def _is_refused(talker: socket.socket) -> bool:
    try:
        talker.sendall(b"x")
    except OSError:
        return True
    return False


def test_a_caller_must_be_whom_its_certificate_names(
    make_receiver: Callable[..., ReceivingNode], ours: Authority, node: Pem, scanner: Pem
) -> None:
    callers = (Caller("SCANNER", "*", "dxa-3.example.org"),)
    secured = make_receiver(tls=ours.files(node), callers=callers)
    assert scu.echo(peer_of(secured.port, ours.files(scanner))).ok
    other = scu.echo(peer_of(secured.port, ours.files(ours.issue("dxa-4"))))
    assert not other.ok
    assert "must prove itself as dxa-3.example.org" in secured.events[-1].text
    assert "(receiver.callers), but its certificate names dxa-4" in secured.events[-1].text
    clear = make_receiver(callers=callers)
    assert not scu.echo(peer_of(clear.port, None)).ok
    assert "there was no TLS" in clear.events[-1].text


def test_only_ciphers_with_forward_secrecy_and_authenticated_encryption(ours: Authority, node: Pem) -> None:
    """RFC 9325 section 4.2, of TLS 1.2; TLS 1.3 ("any") has nothing else."""
    for context in (tls.server_context(ours.files(node)), tls.client_context(ours.files(node))):
        offered = context.get_ciphers()
        assert offered
        assert all(each["aead"] for each in offered)
        assert {each["kea"] for each in offered} <= {"kx-any", "kx-ecdhe", "kx-dhe"}


def test_we_refuse_a_peer_that_is_not_the_host_or_of_no_authority(
    secured: ReceivingNode, ours: Authority, theirs: Authority, scanner: Pem
) -> None:
    peer = peer_of(secured.port, ours.files(scanner, ca=theirs.ca))
    answer = scu.echo(peer)
    assert "of no authority that is trusted here" in answer.text
    with pytest.raises(PeerUnreachable, match="of no authority"):
        tls.peer_facts(peer)


def test_the_name_of_the_host_counts(
    make_receiver: Callable[..., ReceivingNode], ours: Authority, scanner: Pem
) -> None:
    secured = make_receiver(tls=ours.files(ours.issue("another.example.org")))
    answer = scu.echo(peer_of(secured.port, ours.files(scanner)))
    assert "is for another host" in answer.text
    assert scu.echo(peer_of(secured.port, ours.files(scanner, verify_host=False))).ok


def test_a_peer_that_is_away_is_no_failed_handshake(ours: Authority, scanner: Pem) -> None:
    answer = scu.echo(peer_of(peers.free_port(), ours.files(scanner)))
    assert "cannot be reached: connection refused" in answer.text


def test_expiry_is_read_from_both_sides(
    secured: ReceivingNode, ours: Authority, node: Pem, scanner: Pem
) -> None:
    facts = tls.peer_facts(peer_of(secured.port, ours.files(scanner)))
    own = tls.own_facts(node.certificate)
    assert facts.expires_at == own.expires_at
    assert "localhost" in facts.names
    assert own.name == "node"


def test_files_that_are_none_are_named(ours: Authority, theirs: Authority, node: Pem, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    other = theirs.issue("other")
    for files, named in (
        (ours.files(Pem(tmp_path / "absent.crt", node.key)), "absent.crt"),
        (ours.files(Pem(node.certificate, other.key)), "other.key"),
        (ours.files(node, ca=wrong), "wrong.pem"),
    ):
        with pytest.raises(ConfigError, match=named) as raised:
            tls.server_context(files)
        assert raised.value.remedy
    with pytest.raises(ConfigError, match=r"wrong\.pem"):
        tls.own_facts(wrong)


def test_a_key_with_a_passphrase_is_no_question_at_a_terminal(ours: Authority, tmp_path: Path) -> None:
    pem = ours.issue("locked", *LOCAL)
    key = serialization.load_pem_private_key(pem.key.read_bytes(), None)
    pem.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match=r"locked\.key has a passphrase") as raised:
        tls.server_context(ours.files(pem))
    assert "without one" in (raised.value.remedy or "")


def test_of_key_and_certificate_only_what_cannot_be_read_is_named(ours: Authority, tmp_path: Path) -> None:
    pem = ours.issue("half", *LOCAL)
    with pytest.raises(ConfigError) as raised:
        tls.client_context(ours.files(Pem(pem.certificate, tmp_path / "absent.key")))
    assert "absent.key cannot be read" in raised.value.message
    assert "half.crt" not in raised.value.message


def presented(port: int, files: Any) -> datetime:
    return tls.peer_facts(peer_of(port, files)).expires_at


def test_a_renewed_certificate_needs_no_restart(
    make_receiver: Callable[..., ReceivingNode], ours: Authority, theirs: Authority, scanner: Pem
) -> None:
    pem = ours.issue("renewed", *LOCAL, days=3)
    receiver = make_receiver(tls=ours.files(pem))
    before = presented(receiver.port, ours.files(scanner))
    assert before == tls.own_facts(pem.certificate).expires_at

    pem.key.write_bytes(theirs.issue("stranger-2").key.read_bytes())  # the key first: they do not fit now
    assert presented(receiver.port, ours.files(scanner)) == before

    ours.issue("renewed", *LOCAL, days=300)
    after = presented(receiver.port, ours.files(scanner))
    assert after == tls.own_facts(pem.certificate).expires_at
    assert after > before


@pytest.mark.peer
def test_dcmtk_both_ways(
    secured: ReceivingNode, ours: Authority, theirs: Authority, scanner: Pem, tmp_path: Path
) -> None:
    path = write_instance(tmp_path / "image.dcm")

    def store(pem: Pem) -> Any:
        keys = ["+tls", pem.key, pem.certificate, "+cf", ours.ca]
        words = ["-R", "-aet", "SCANNER", "-aec", "TBSNODE", "127.0.0.1", str(secured.port), path]
        return peers.run(["storescu", *keys, *words])

    done = store(scanner)
    assert done.returncode == 0, done.stdout
    assert [received.sop_instance_uid for received in secured.stored] == ["1.2.3.4.5"]
    assert store(theirs.issue("dcmtk")).returncode != 0
    assert len(secured.stored) == 1

    served = ours.issue("pacs", *LOCAL)
    with peers.storescp(
        tmp_path, "+tls", str(served.key), str(served.certificate), "+cf", str(ours.ca)
    ) as pacs:
        peer = Peer(
            name="pacs",
            ae_title=pacs.ae_title,
            host="127.0.0.1",
            port=pacs.port,
            calling_ae_title="TBSNODE",
            tls=ours.files(scanner),
        )
        assert scu.echo(peer).ok
        refused = scu.echo(
            Peer(name="p", ae_title="STORESCP", host="127.0.0.1", port=pacs.port, calling_ae_title="TBSNODE")
        )
        assert not refused.ok


@pytest.mark.peer
def test_orthanc_both_ways(
    make_receiver: Callable[..., ReceivingNode], ours: Authority, node: Pem, tmp_path: Path
) -> None:
    served = ours.issue("orthanc", *LOCAL)
    callers = (*ANYONE, Caller("ORTHANC", "127.0.0.1", "orthanc"))
    secured = make_receiver(tls=ours.files(node), callers=callers)
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(served.certificate),
        "DicomTlsPrivateKey": str(served.key),
        "DicomTlsTrustedCertificates": str(ours.ca),
        "DicomTlsRemoteCertificateRequired": True,
    }
    with peers.orthanc(tmp_path / "orthanc", **settings) as orthanc:
        peer = Peer(
            name="orthanc",
            ae_title=orthanc.ae_title,
            host="127.0.0.1",
            port=orthanc.port,
            calling_ae_title="TBSNODE",
            tls=ours.files(node),
        )
        item = Outgoing(
            path=write_instance(tmp_path / "image.dcm"),
            sop_class_uid=SECONDARY_CAPTURE,
            sop_instance_uid="1.2.3.4.5",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
        (outcome,) = scu.send(peer, [item])
        assert outcome.category == "success"
        entry = {"AET": "TBSNODE", "Host": "127.0.0.1", "Port": secured.port, "UseDicomTls": True}
        orthanc.request("/modalities/back", "PUT", json.dumps(entry).encode())
        (instance,) = orthanc.instances()
        orthanc.json("/modalities/back/store", "POST", {"Resources": [instance["ID"]]})
        secured.wait_for("opened", "store", "released")
