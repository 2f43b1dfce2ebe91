"""Who acts on the node: the login behind the process, and the machine, for signatures and the audit trail.

A service keeps its files to its own account, so people work with that account's rights
(`sudo -u tbsnode tbsnode ...`) and must be known all the same. Linux keeps for each session who logged in
(pam_loginuid); neither sudo nor su changes it, and no option and no environment variable does.
"""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

from tbsnode.store.identity_changes import Actor

LOGIN_UID = Path("/proc/self/loginuid")
_NO_SESSION = 0xFFFFFFFF  # of a service, of a container


def account() -> int:
    """Return the number of the account that logged in, or that owns a process without a session.

    A process without a session may give itself one, once; what it could sign so it could as well write,
    because it has the database.
    """
    try:
        number = int(LOGIN_UID.read_text())
    except (OSError, ValueError):  # no Linux, or one without it
        number = _NO_SESSION
    return os.getuid() if number == _NO_SESSION else number


def login() -> str:
    """Return the login name of that account; empty where it has none, as in some containers."""
    try:
        return pwd.getpwuid(account()).pw_name
    except KeyError:
        return ""


def administrator() -> Actor:
    """Return who runs this process."""
    return Actor(login=login() or f"uid {account()}", host=socket.gethostname())


def who() -> str:
    """Say who runs this process, for a line of the audit trail."""
    by = administrator()
    return f"{by.login} on {by.host}"
