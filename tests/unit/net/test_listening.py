"""An address that cannot be listened on, in words."""

from __future__ import annotations

import socket

from tbsnode.net.listening import cannot_listen


def test_a_name_that_nobody_knows_is_no_unknown_error() -> None:
    """It said "Unknown error -2"."""
    error = cannot_listen("nohost", 104, socket.gaierror(-2, "Name or service not known"))
    assert str(error.message) == "cannot listen on nohost port 104: Name or service not known."
    assert "receiver.bind" in error.remedy
