"""Machines of one node that were started with differing settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tbsnode.config import Config, digests, load
from tbsnode.pipeline import machines
from tbsnode.pipeline.site import Site
from tbsnode.store import audit

FRONT = machines.Start(node_id="a", host="front", version="1", roles="receive", settings={"node": "1"})


def other(**changes: object) -> machines.Start:
    return replace(FRONT, node_id="b", host="back", **changes)  # type: ignore[arg-type]


def test_other_settings_of_another_machine_are_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    machines.started(site, FRONT)
    machines.started(site, FRONT)  # a restart of the same
    machines.started(site, other())
    assert caplog.text == ""
    machines.started(site, other(settings={"node": "1", "delivery": "2"}))
    assert "front serves the same node with other settings in [delivery]" in caplog.text
    with site.database.read() as tx:
        (newest, *_) = audit.recent_events(tx, 1)
    assert (newest.action, newest.text) == ("serve.started", "back serves receive, version 1")


def test_a_machine_that_was_stopped_is_not_compared_with(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    machines.started(site, FRONT)
    machines.stopped(site, FRONT)
    machines.started(site, other(settings={}))
    assert caplog.text == ""


def test_addresses_and_paths_may_differ_and_what_decides_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(name: str, text: str) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tbsnode.toml").write_text(text)
        return digests(load(folder / "tbsnode.toml"))

    sending = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "192.0.2.1"\n'
    one = of("one", "[receiver]\nport = 104\n[http]\nport = 9\n[analysis]\nworkers = 8\n" + sending)
    same = of("same", '[node]\nstate = "elsewhere"\n[database]\nurl = "sqlite:///x.db"\n' + sending)
    assert one == same
    more = of("more", '[node]\nmode = "shadow"\n' + sending + 'send = ["sr"]\n')
    assert [name for name in one if one[name] != more[name]] == ["node", "destinations"]
    assert set(one) == set(Config.model_fields) - {"database", "archive", "logging", "http"}

    def secured(folder: str) -> dict[str, str]:
        names = ", ".join(f'{key} = "/{folder}/{key}"' for key in ("certificate", "key", "ca"))
        return of(folder, f"{sending}tls = {{ {names} }}\n")

    assert secured("etc") == secured("srv"), "each machine has its files where it likes"
    over_tls = secured("opt")
    assert [name for name in one if one[name] != over_tls[name]] == ["destinations"]
    stated = of("stated", '[site]\nserial_number = "7"\n')
    blank = of("blank", "")
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    assert of("stated-there", '[site]\nserial_number = "7"\n') == stated
    there = of("blank-there", "")
    assert [name for name in blank if blank[name] != there[name]] == ["site"], "results tell the host's name"
