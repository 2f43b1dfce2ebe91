"""Who acts on the node: the login of the process's owner, and the machine, for the audit trail."""

from __future__ import annotations

import os
import pwd
import socket

from tbsnode.store.identity_changes import Actor


def administrator() -> Actor:
    """Return who runs this process; no option and no environment variable names another person."""
    number = os.getuid()
    try:
        login = pwd.getpwuid(number).pw_name
    except KeyError:  # an account without a name, as in some containers
        login = f"uid {number}"
    return Actor(login=login, host=socket.gethostname())


def who() -> str:
    """Say who runs this process, for a line of the audit trail."""
    by = administrator()
    return f"{by.login} on {by.host}"
