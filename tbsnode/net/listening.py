"""Why an address cannot be listened on, in words that say what to do."""

from __future__ import annotations

import errno
import os
import socket

from tbsnode.errors import ConfigError


def cannot_listen(bind: str, port: int, error: OSError) -> ConfigError:
    """Return what an administrator must do about an address that cannot be listened on."""
    remedies = {
        errno.EADDRINUSE: "Another program listens there: stop it, or choose another port in [receiver].",
        errno.EACCES: "Ports below 1024 need a privilege: choose another port in [receiver], or grant it.",
        errno.EADDRNOTAVAIL: "This machine has no such address: correct receiver.bind.",
    }
    remedy = remedies.get(error.errno or 0, "Correct receiver.bind or receiver.port.")
    why = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, socket.gaierror):  # its numbers are those of the resolver
        why, remedy = str(error.strerror), "Correct receiver.bind: an address of this machine."
    return ConfigError(f"cannot listen on {bind} port {port}: {why}.", remedy=remedy)
