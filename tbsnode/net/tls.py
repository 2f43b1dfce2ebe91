"""TLS for both directions, as BCP 195 wants it: TLS 1.2 and 1.3, forward secrecy, both sides proved.

The AE title proves nothing; a certificate does. A handshake that fails is explained in words, because
"handshake failure" has cost many an administrator a day.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tbsnode.errors import ConfigError, PeerUnreachable
from tbsnode.model import Peer, TlsFiles

log = logging.getLogger(__name__)

# RFC 9325 section 4.2: forward secrecy and authenticated encryption; TLS 1.3 has nothing else
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
HANDSHAKE_S = 10.0
_LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says of itself.

    Attributes
    ----------
    name : str
        Common Name of its subject, else its first DNS name.
    names : tuple of str
        Common Name and DNS names.
    expires_at : datetime
        Aware.
    """

    name: str
    names: tuple[str, ...]
    expires_at: datetime


class ClientContext(ssl.SSLContext):
    """The context of one connection that we open; it outlives the socket and knows why that failed."""

    failure: OSError | None = None
    unconnected: OSError | None = None  # there was no handshake


class ExplainingSocket(ssl.SSLSocket):
    """A TLS connection that leaves with its context what went wrong: pynetdicom tells nobody."""

    def connect(self, address: Any) -> None:
        """Connect; keep why that failed, where it was not the handshake."""
        try:
            super().connect(address)
        except OSError as error:
            if isinstance(self.context, ClientContext) and self.context.failure is None:
                self.context.unconnected = error
            raise

    def do_handshake(self, block: bool = False) -> None:
        """Do the handshake; keep what went wrong."""
        try:
            super().do_handshake(block)
        except OSError as error:
            if isinstance(self.context, ClientContext):
                self.context.failure = error
            raise


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a listener: callers must prove themselves with a certificate of our CA.

    Raises
    ------
    ConfigError
        If a file is missing, is none, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class ListenerContext:
    """The context of a listener, made anew when one of its files changed: a renewal needs no restart.

    Parameters
    ----------
    files : TlsFiles
        As `server_context` takes them.

    Raises
    ------
    ConfigError
        As `server_context`, when made; later, what was good is used on.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamps = _stamps(files)
        self._context = server_context(files)

    def current(self) -> ssl.SSLContext:
        """Return the context for the next handshake."""
        stamps = _stamps(self._files)
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = server_context(self._files)
                log.info(
                    "TLS: the changed certificate is used, valid until %s",
                    f"{own_facts(self._files.certificate).expires_at:%Y-%m-%d}",
                    extra={"action": "tls.renewed"},
                )
            except ConfigError as error:
                log.warning("%s The one before is used on.", error, extra={"action": "tls.not_renewed"})
        return self._context


def _stamps(files: TlsFiles) -> tuple[tuple[int, int, int], ...]:
    """Return what is different as soon as somebody wrote one of the files."""
    stamps = []
    for path in (files.certificate, files.key, files.ca):
        try:
            found = path.stat()
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return tuple(stamps)


def client_context(files: TlsFiles) -> ClientContext:
    """Return the context of a sender: the peer must prove that it is the configured host.

    Raises
    ------
    ConfigError
        As `server_context`.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = ExplainingSocket
    _load(context, files)
    context.check_hostname = files.verify_host
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    for path in (files.certificate, files.key, files.ca):
        _require_readable(path)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: _no_passphrase(files.key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS: {files.certificate} and {files.key} cannot be used ({_reason(error)}).",
            remedy="Name a PEM certificate and its own private key, readable by the account of the node.",
        ) from error
    try:
        context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS: {files.ca} cannot be used ({_reason(error)}).",
            remedy="Name a PEM file with the certificates of the authorities that peers are trusted by.",
        ) from error


def _require_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"TLS: {path} cannot be read ({error.strerror}).",
            remedy="Correct the path, or give the account of the node read access to the file.",
        ) from error


def _no_passphrase(key: Path) -> str:
    """Refuse: OpenSSL would ask at the terminal, and a service has none."""
    raise ConfigError(
        f"TLS: the key {key} has a passphrase.",
        remedy="Write it without one: `openssl pkey -in KEY -out NEW`; only the node's account may read it.",
    )


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return error.strerror or type(error).__name__


def facts_of(certificate: dict[str, Any]) -> CertificateFacts:
    """Read what `ssl` decoded of a certificate that was verified.

    Parameters
    ----------
    certificate : dict
        As `ssl.SSLSocket.getpeercert` returns it.
    """
    subject = {key: value for part in certificate.get("subject", ()) for key, value in part}
    dns = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    common = str(subject.get("commonName", ""))
    names = tuple(dict.fromkeys(name for name in (common, *dns) if name))
    until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return CertificateFacts(
        name=names[0] if names else "",
        names=names,
        expires_at=datetime.fromtimestamp(until, UTC),
    )


def facts_of_peer(connected: object) -> CertificateFacts | None:
    """Read the certificate that the peer of a connection proved itself with; None in clear text."""
    if not isinstance(connected, ssl.SSLSocket):
        return None
    return facts_of(dict(connected.getpeercert() or {}))


def own_facts(path: Path) -> CertificateFacts:
    """Read the first certificate of a PEM file.

    Raises
    ------
    ConfigError
        If there is none.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        common = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            dns = extension.value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            dns = []
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"TLS: {path} holds no certificate.", remedy="Name a PEM file that begins with the certificate."
        ) from error
    names = tuple(dict.fromkeys([*common, *dns]))
    return CertificateFacts(
        name=names[0] if names else "", names=names, expires_at=certificate.not_valid_after_utc
    )


def says_something(client: socket.socket) -> bool:
    """Wait for the first byte of a connection; False where a watcher only looked whether we listen.

    Raises
    ------
    TimeoutError
        If nothing came within `HANDSHAKE_S`.
    """
    client.settimeout(HANDSHAKE_S)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except ConnectionError:
        return False


def accept(context: ssl.SSLContext, client: socket.socket) -> ssl.SSLSocket:
    """Do the handshake of an accepted connection, within `HANDSHAKE_S`.

    Raises
    ------
    OSError
        If it failed; `explain` says why in words.
    """
    client.settimeout(HANDSHAKE_S)
    secured = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
    try:
        secured.do_handshake()
    except OSError:
        _part(secured)
        raise
    return secured


def _part(secured: ssl.SSLSocket) -> None:
    """Close so that our alert arrives: closed with unread bytes, TCP would take it back."""
    until = time.monotonic() + _LAST_WORDS_S
    with contextlib.suppress(OSError):
        secured.settimeout(_LAST_WORDS_S)
        secured.shutdown(socket.SHUT_WR)  # what comes now is read as plain bytes
        while secured.recv(1 << 16) and time.monotonic() < until:
            pass
    secured.close()


_WORDS = (  # part of OpenSSL's reason, who is at fault, what to do
    (
        "CERTIFICATE_HAS_EXPIRED",
        "the caller's certificate has expired: renew it at the caller",
    ),
    (
        "ALERT_CERTIFICATE_EXPIRED",
        "the other side says that our certificate has expired: renew it",
    ),
    (
        "NOT_RETURN_A_CERTIFICATE",
        "the caller showed no certificate: enter one at the caller, of an authority in receiver.tls.ca",
    ),
    (
        "CERTIFICATE_REQUIRED",
        "the other side wants a certificate of ours: set certificate and key",
    ),
    (
        "ALERT_UNKNOWN_CA",
        "the other side does not trust the authority of our certificate: give it our authority's certificate",
    ),
    (
        "ALERT_BAD_CERTIFICATE",
        "the other side refused our certificate: look at its log",
    ),
    (
        "UNSUPPORTED_PROTOCOL",
        "the other side offers only TLS versions that are no longer safe: TLS 1.2 or 1.3 is needed",
    ),
    (
        "PROTOCOL_VERSION",
        "the other side takes only TLS versions that are no longer safe: TLS 1.2 or 1.3 is needed",
    ),
    (
        "NO_SHARED_CIPHER",
        "the other side offers no cipher with forward secrecy",
    ),
    ("HANDSHAKE_FAILURE", "the two sides have no cipher in common"),
    (
        "WRONG_VERSION_NUMBER",
        "this is no TLS: one side speaks clear text; compare port and TLS setting on both sides",
    ),
    (
        "HTTP_REQUEST",
        "this is no TLS: somebody asked for a web page",
    ),
    (
        "RECORD_LAYER_FAILURE",
        "this is no TLS: one side speaks clear text; compare port and TLS setting on both sides",
    ),
)


REFUSED_LATER = "it closed the connection after the TLS handshake; its log says why (our certificate?)"


def explain(error: OSError) -> str:
    """Say in an administrator's words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(error)
    if isinstance(error, TimeoutError):
        return f"no TLS handshake within {HANDSHAKE_S:.0f} s"
    said = f"{getattr(error, 'reason', '') or ''} {error}".upper().replace(" ", "_")
    for part, words in _WORDS:
        if part in said:
            return words
    if isinstance(error, ssl.SSLEOFError | ConnectionError) or "EOF" in said:
        return "the other side closed the connection during the TLS handshake: its log says why"
    return f"the TLS handshake failed ({_reason(error)})"


def _unverified(error: ssl.SSLCertVerificationError) -> str:
    message = error.verify_message.rstrip(".")
    if "expired" in message:
        return "the certificate of the other side has expired: renew it there"
    if "not yet valid" in message:
        return "the certificate of the other side is not valid yet: compare the clocks"
    if "ostname mismatch" in message or "IP address mismatch" in message:
        return f"the certificate of the other side is for another host: {message}"
    return f"the certificate of the other side is of no authority that is trusted here ({message})"


def peer_facts(peer: Peer) -> CertificateFacts:
    """Connect to a peer over TLS and read its certificate; nothing is asked.

    Raises
    ------
    PeerUnreachable
        If there is no connection or the handshake fails, with the reason in words.
    """
    assert peer.tls is not None
    context = client_context(peer.tls)
    try:
        with (
            socket.create_connection((peer.host, peer.port), timeout=HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=peer.host) as secured,
        ):
            return facts_of(dict(secured.getpeercert() or {}))
    except OSError as error:
        why = explain(context.failure) if context.failure else str(error.strerror or error)
        raise PeerUnreachable(f"{peer.name} cannot be reached over TLS: {why}.", peer=peer.name) from error
