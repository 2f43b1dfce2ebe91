"""TLS in `tbsnode check`: can the files be used, and how long are the certificates valid."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line, failed
from tbsnode.errors import ConfigError, PeerError

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.model import TlsFiles
    from tbsnode.net.tls import CertificateFacts

WARNED_DAYS = 30  # a hospital needs so long for a certificate


def lines(config: Config) -> Iterator[Line]:
    """Yield a line for each certificate that the configuration depends on."""
    from tbsnode import node
    from tbsnode.model import TlsFiles
    from tbsnode.net import tls

    own = config.receiver.tls
    if own is not None:
        files = TlsFiles(certificate=own.certificate, key=own.key, ca=own.ca)
        yield _own(f"tls port {own.port}", files, tls.server_context)
    for peer in node.peers(config):
        if peer.tls is None:
            continue
        line = _own(f"tls to {peer.name}", peer.tls, tls.client_context)
        yield line
        if not line.ok:
            continue
        try:
            yield _judged(f"certificate of {peer.name}", tls.peer_facts(peer))
        except PeerError as error:
            yield failed(f"certificate of {peer.name}", error)


def _own(what: str, files: TlsFiles, load: Callable[[TlsFiles], object]) -> Line:
    from tbsnode.net import tls

    try:
        load(files)
        return _judged(what, tls.own_facts(files.certificate))
    except ConfigError as error:
        return failed(what, error)


def _judged(what: str, facts: CertificateFacts) -> Line:
    days = int((facts.expires_at.timestamp() - time.time()) // 86400)
    text = f"{facts.name or 'no name'}, valid until {facts.expires_at:%Y-%m-%d} ({days} days)"
    if days < 0:
        return Line(what, text, "It has expired: renew it.", ConfigError.exit_code)
    if days < WARNED_DAYS:
        return Line(what, text, "Renew it now.", ConfigError.exit_code)
    return Line(what, text)
