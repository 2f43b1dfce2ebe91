"""Who is held to have done something: the login behind the process, also where sudo changed its account."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tbsnode.pipeline import acting

ANOTHER = pwd.getpwuid(1)  # an account that every Debian has
SERVICE = pwd.getpwnam("nobody")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "loginuid"
    monkeypatch.setattr(acting, "LOGIN_UID", path)
    return path


def test_the_session_decides_not_the_account_that_it_works_with(session: Path) -> None:
    session.write_text(f"{ANOTHER.pw_uid}\n")
    assert acting.login() == ANOTHER.pw_name
    assert acting.administrator().login == ANOTHER.pw_name


@pytest.mark.parametrize("said", ["4294967295", "", None])
def test_without_a_session_the_owner_of_the_process_does(session: Path, said: str | None) -> None:
    if said is not None:
        session.write_text(said)
    assert acting.account() == os.getuid()


def test_an_account_without_a_name_is_a_number(session: Path) -> None:
    session.write_text(str(2**31 - 7))
    assert (acting.login(), acting.administrator().login) == ("", f"uid {2**31 - 7}")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may begin a session")
def test_the_kernel_keeps_who_logged_in_when_the_account_changes() -> None:
    """As sudo does it: a session of one account, a process of another, and variables that lie."""
    begin = f"import os; open('/proc/self/loginuid', 'w').write('{ANOTHER.pw_uid}'); "
    change = f"os.setgid({SERVICE.pw_gid}); os.setuid({SERVICE.pw_uid}); assert os.getuid(); "
    lies = {**os.environ, "SUDO_USER": "jdoe", "LOGNAME": "jdoe", "USER": "jdoe"}
    imported = f"from tbsnode.pipeline import acting; {begin}{change}print(acting.who())"
    done = subprocess.run([sys.executable, "-c", imported], env=lies, capture_output=True, text=True)
    if "PermissionError" in done.stderr and "loginuid" in done.stderr:
        pytest.skip("this kernel lets nobody begin a session here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{ANOTHER.pw_name} on ")
