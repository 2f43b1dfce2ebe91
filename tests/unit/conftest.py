"""A site on SQLite without a running node, and one small picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tbsnode import config as configuration
from tbsnode import node as wiring
from tbsnode.dicom import acquisition
from tbsnode.pipeline.site import Site
from tests import nodes, schemas


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A prepared archive and database; nothing serves it."""
    node = nodes.Node(tmp_path / "node", 11197)
    node.write()
    schemas.fill_sqlite(node.folder / "state" / "tbsnode.db")
    with wiring.open_site(configuration.load(node.config)) as opened:
        yield opened


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file with a picture of a hip, outside the archive."""
    (part10,) = acquisition.study(
        "hip",
        patient=acquisition.PatientTags(patient_id="H-1"),
        seed=1,
        options=acquisition.Options(small=True),
    )
    return nodes.write(tmp_path / "in", [part10])[0]
