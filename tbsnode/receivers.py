"""The wiring of the receiver processes: configuration to ports, callers and what they may send.

Only they load the network's libraries, so `node` does without them.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode import node
from tbsnode.dicom import sop_classes
from tbsnode.errors import ConfigError
from tbsnode.model import TlsFiles
from tbsnode.net import tls, upper_layer
from tbsnode.net.acceptor_server import AcceptorServer
from tbsnode.net.listening import cannot_listen
from tbsnode.net.scp import Caller, ScpSettings
from tbsnode.pipeline.receive import Reception

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.config import Config
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)


def make_receiver(config: Config, site: Site, *, slot: int = 0, inherited: Sequence[int] = ()) -> Reception:
    """Build one receiver process for this configuration; its temporary files lie in the archive.

    Parameters
    ----------
    config, site
        What it is to do, and with what.
    slot : int
        Which of several receiver processes it is.
    inherited : sequence of int
        Descriptors of the sockets that all of them listen on; without them it listens itself.
    """
    upper_layer.configure_receiver()
    clear = ScpSettings(
        ae_title=config.node.ae_title,
        bind=config.receiver.bind,
        port=config.receiver.port,
        callers=tuple(
            Caller(caller.ae_title, caller.host, caller.certificate) for caller in config.receiver.callers
        ),
        incoming=site.archive.incoming,
        reporters=_reporters(config),
        storage_classes=tuple(sop_classes.STORAGE.values()),
        transfer_syntaxes=tuple(sop_classes.TRANSFER_SYNTAXES),
    )
    warn_of_an_expired_certificate(config)
    listening = [replace(clear, port=port, tls=files) for port, files in _ports(config)]
    if inherited:
        listening = [replace(each, inherited=fd) for each, fd in zip(listening, inherited, strict=True)]
    name = "receive" if slot == 0 else f"receive-{slot}"
    return Reception(site, listening, name=f"{node.node_id(config.node.state)}/{name}")


def warn_of_an_expired_certificate(config: Config) -> None:
    """Say at the start that the certificate is over: callers that look at it only hang up."""
    own = config.receiver.tls
    if own is None:
        return
    with suppress(ConfigError):  # what cannot be read is said by who listens with it
        end = tls.own_facts(own.certificate).expires_at
        if end < datetime.now(UTC):
            log.warning(
                "TLS: %s expired on %s: renew it; callers that check it hang up",
                own.certificate,
                f"{end:%Y-%m-%d}",
                extra={"action": "tls.expired"},
            )


def receiver_sockets(config: Config) -> tuple[socket.socket, ...]:
    """Listen on the receiver's ports on behalf of several processes, in the order `make_receiver` takes.

    Raises
    ------
    ConfigError
        If an address cannot be listened on.
    """
    opened: list[socket.socket] = []
    for port, _ in _ports(config):
        try:
            family = socket.AF_INET6 if ":" in config.receiver.bind else socket.AF_INET
            address = (config.receiver.bind, port)
            backlog = AcceptorServer.request_queue_size
            opened.append(socket.create_server(address, family=family, backlog=backlog))
        except OSError as error:
            for each in opened:
                each.close()
            raise cannot_listen(config.receiver.bind, port, error) from error
    return tuple(opened)


def _ports(config: Config) -> list[tuple[int, TlsFiles | None]]:
    """Return the ports that are listened on, each with the files of its TLS or in clear text."""
    clear, own = config.receiver.port, config.receiver.tls
    if own is None:
        return [(clear, None)]
    secured = (own.port, TlsFiles(certificate=own.certificate, key=own.key, ca=own.ca))
    return [secured] if own.only else [(clear, None), secured]


def _reporters(config: Config) -> tuple[Caller, ...]:
    """Return the destinations that may call to report what they keep, where they are no callers."""
    callers = {caller.ae_title for caller in config.receiver.callers}
    return tuple(
        Caller(destination.ae_title, destination.host)
        for destination in config.destinations
        if destination.commitment and destination.ae_title not in callers
    )
