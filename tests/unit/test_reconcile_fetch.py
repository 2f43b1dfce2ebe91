"""What `study reconcile --fetch` says of a study that did not come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from tbsnode.cli import reconcile as cli
from tbsnode.errors import PeerError
from tbsnode.net import query
from tbsnode.pipeline import reconcile


def test_a_study_that_could_not_be_fetched_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was told to use the option that had just been used, and no reason was given."""

    @contextmanager
    def refusing(*_: Any, **__: Any) -> Iterator[Any]:
        raise PeerError("pacs: 0xA801 Move destination unknown.")
        yield

    monkeypatch.setattr(query, "asking", refusing)
    missing = reconcile.Missing(study_instance_uid="1.2", study_date="", modalities=(), description="")
    day = date(2026, 11, 1)
    found = reconcile.Reconciliation(
        destination="pacs",
        first=day,
        last=day,
        modalities=("OT",),
        compared=1,
        missing=(missing,),
        lacking=(),
        strangers={},
    )
    site: Any = SimpleNamespace(peer=lambda name: SimpleNamespace(name=name))
    tried = reconcile.fetch(site, found)
    assert not tried.is_closed
    cli._say(tried)
    said = capsys.readouterr().out
    assert "Not fetched: pacs: 0xA801 Move destination unknown." in said
    assert "receiver.callers" in said
