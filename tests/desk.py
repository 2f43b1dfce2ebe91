"""A node without processes: files in, decisions out, with the node's own configuration and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from tbsnode import config, engine
from tbsnode import node as wiring
from tbsnode.pipeline import operate
from tbsnode.pipeline.site import Site
from tbsnode.store import work
from tests import nodes
from tests.ledger import Ledger


@dataclass(frozen=True)
class Desk:
    """An open site, whose due work is done when asked for."""

    site: Site
    ledger: Ledger

    def take(self, paths: Sequence[Path]) -> str:
        """Import files of one study, do what is due, and return the study."""
        for path in paths:
            operate.import_file(self.site, path)
        uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
        operate.ready(self.site, uid)
        self.work()
        return uid

    def work(self) -> None:
        """Do all that is due, once."""
        with self.site.database.transaction() as tx:
            tickets = work.take_due(tx, limit=100)
        for ticket in tickets:
            engine.perform(self.site, ticket)


@contextmanager
def desk(node: nodes.Node) -> Iterator[Desk]:
    """Prepare a node's folder and open its site."""
    node.prepare()
    settings = config.load(node.config)
    with wiring.open_site(settings) as site:
        yield Desk(site, Ledger(node))
