"""Who may call, and what an administrator reads when somebody may not."""

from __future__ import annotations

import pytest

from tbsnode.net.callers import Caller, KnownCallers


@pytest.mark.parametrize(
    ("known", "host", "may"),
    [
        ("192.0.2.10", "192.0.2.10", True),
        ("192.0.2.10", "192.0.2.11", False),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.7/24", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("*", "203.0.113.5", True),
        ("*", "2001:db8::5", True),
        ("192.0.2.10", "::ffff:192.0.2.10", True),
        ("2001:db8::/32", "2001:db8::5", True),
        ("fe80::1", "fe80::1%eth0", True),
        ("192.0.2.0/24", "2001:db8::5", False),
        ("localhost", "127.0.0.1", True),
        ("localhost", "192.0.2.1", False),
        ("no-such-host.invalid", "192.0.2.1", False),
    ],
)
def test_host_forms(known: str, host: str, may: bool) -> None:
    callers = KnownCallers([Caller("LUNAR", known)])
    assert (callers.objection("LUNAR", host) == "") is may


def test_an_ae_title_may_be_known_at_several_hosts() -> None:
    callers = KnownCallers([Caller("LUNAR", "192.0.2.1"), Caller("LUNAR", "192.0.2.2")])
    assert callers.objection("LUNAR", "192.0.2.2") == ""
    assert "192.0.2.1, 192.0.2.2" in callers.objection("LUNAR", "192.0.2.3")


def test_an_unknown_ae_title_reads_the_line_to_add() -> None:
    callers = KnownCallers([Caller("LUNAR", "*")])
    words = callers.objection("lunar", "192.0.2.3")
    assert '{ ae_title = "lunar", host = "192.0.2.3" }' in words
    assert "receiver.callers" in words


def test_nobody_may_call_by_default() -> None:
    assert KnownCallers([]).objection("", "127.0.0.1") != ""


def test_a_name_is_looked_up_once_in_a_while() -> None:
    callers = KnownCallers([Caller("LUNAR", "localhost")])
    assert callers.objection("LUNAR", "127.0.0.1") == ""
    assert callers._names["localhost"][0] > 0
    before = callers._names["localhost"]
    assert callers.objection("LUNAR", "127.0.0.1") == ""
    assert callers._names["localhost"] is before
