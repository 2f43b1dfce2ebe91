"""Who may call us: AE title and host together, because an AE title alone proves nothing."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

_ADDRESS_LIFE_S = 60.0  # a host name is looked up again after this

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Caller:
    """A remote AE that may open associations to us.

    Attributes
    ----------
    ae_title : str
        Its calling AE title, case-sensitive.
    host : str
        Address, network (``"192.0.2.0/24"``), host name, or ``"*"`` for any.
    certificate : str
        Common Name or DNS name that its certificate must have; such a caller may only call over TLS.
        Empty: address and AE title are enough.
    """

    ae_title: str
    host: str
    certificate: str = ""


class KnownCallers:
    """The callers, and the names among them resolved.

    Parameters
    ----------
    callers : sequence of Caller
        All others are refused.
    """

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = tuple(callers)
        self._names: dict[str, tuple[float, frozenset[_Address]]] = {}
        self._lock = threading.Lock()

    def objection(self, ae_title: str, host: str, names: Sequence[str] | None = None) -> str:
        """Return why an AE may not call, in an administrator's words; empty if it may.

        Parameters
        ----------
        ae_title : str
            Calling AE title, stripped.
        host : str
            Address that the connection comes from.
        names : sequence of str, optional
            Names in the verified certificate; None in clear text.
        """
        known = [caller for caller in self._callers if caller.ae_title == ae_title]
        hosts = [caller.host for caller in known]
        if not hosts:
            return (
                f'calling AE title "{ae_title}" at {host} is not a known caller: if it may send, add '
                f'{{ ae_title = "{ae_title}", host = "{host}" }} to receiver.callers'
            )
        here = [caller for caller in known if self._is_at(caller.host, _address(host))]
        if any(not caller.certificate or caller.certificate in (names or ()) for caller in here):
            return ""
        if here:
            wanted = ", ".join(caller.certificate for caller in here)
            shown = "there was no TLS"
            if names is not None:
                shown = f"its certificate names {', '.join(names) or 'nobody'}"
            return f'"{ae_title}" must prove itself as {wanted} (receiver.callers), but {shown}'
        known_hosts = ", ".join(hosts)
        return f'"{ae_title}" may call from {known_hosts} (receiver.callers), but this call came from {host}'

    def _is_at(self, known: str, address: _Address) -> bool:
        if known == "*":
            return True
        try:
            return address in ipaddress.ip_network(known, strict=False)
        except ValueError:
            return address in self._resolve(known)

    def _resolve(self, name: str) -> frozenset[_Address]:
        with self._lock:
            looked_up_at, addresses = self._names.get(name, (float("-inf"), frozenset()))
        if time.monotonic() - looked_up_at < _ADDRESS_LIFE_S:
            return addresses
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            addresses = frozenset(_address(str(each[4][0])) for each in found)
        except OSError:
            addresses = frozenset()  # asked again at the next call
            looked_up_at = float("-inf")
        else:
            looked_up_at = time.monotonic()
        with self._lock:
            self._names[name] = (looked_up_at, addresses)
        return addresses


def _address(host: str) -> _Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
