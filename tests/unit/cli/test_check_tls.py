"""``tbsnode check`` reads the certificates: whose they are, how long they hold, what cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbsnode import config, receivers
from tests import certificates

TLS = """
[receiver.tls]
port = 11762
certificate = "tls/{name}.crt"
key = "tls/{name}.key"
ca = "tls/ca.crt"
"""


@pytest.fixture
def checked(run_json: Any, site_config: Path) -> Any:
    """``checked(name)``: the line of check about the TLS port, for a certificate of that name."""
    authority = certificates.authority(site_config.parent / "tls")
    authority.issue("node", days=200)
    authority.issue("soon", days=20)
    authority.issue("late", days=-3)

    def line(name: str) -> dict[str, Any]:
        text = site_config.read_text(encoding="utf-8")
        site_config.write_text(
            text.replace("[archive]", TLS.format(name=name) + "[archive]"), encoding="utf-8"
        )
        lines = run_json("check", "--config", site_config)["checks"]
        site_config.write_text(text, encoding="utf-8")
        (found,) = [each for each in lines if each["what"] == "tls port 11762"]
        return dict(found)

    return line


def test_a_good_certificate_is_named_with_its_end(checked: Any) -> None:
    found = checked("node")
    assert found["ok"]
    assert found["text"].startswith("node, valid until ")
    assert "(199 days)" in found["text"] or "(200 days)" in found["text"]


@pytest.mark.parametrize(
    ("name", "remedy"), [("soon", "Renew it now."), ("late", "It has expired: renew it.")]
)
def test_one_that_ends_is_a_failure_in_time(checked: Any, name: str, remedy: str) -> None:
    found = checked(name)
    assert not found["ok"]
    assert found["remedy"] == remedy


@pytest.mark.parametrize(("name", "said"), [("node", 0), ("late", 1), ("absent", 0)])
def test_a_receiver_says_at_its_start_that_the_certificate_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, said: int
) -> None:
    """`check` said so; `serve` went on without a word."""
    authority = certificates.authority(tmp_path / "tls")
    authority.issue("node", days=200)
    authority.issue("late", days=-3)
    path = tmp_path / "tbsnode.toml"
    path.write_text(TLS.format(name=name), encoding="utf-8")
    receivers.warn_of_an_expired_certificate(config.load(path))
    assert [each.levelname for each in caplog.records] == ["WARNING"] * said


def test_a_missing_file_is_named(checked: Any) -> None:
    found = checked("absent")
    assert not found["ok"]
    assert "absent.crt" in found["text"]
