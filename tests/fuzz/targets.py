"""What is fed with damaged bytes, and what each may answer: a value, or an error of our tree.

A target takes bytes and returns nothing; anything but a `TbsNodeError` that leaves it is a crash.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tbsnode import config
from tbsnode import node as wiring
from tbsnode.dicom import (
    identity,
    own_report,
    part10,
    results_comments,
    results_report,
    results_text,
)
from tbsnode.errors import TbsNodeError
from tbsnode.model import ReceivedInstance
from tbsnode.pipeline import clinical_file, intake
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.site import Site
from tests import nodes

CORPUS = Path(__file__).parent / "corpus"
_TODAY = date(2026, 11, 25)


@dataclass(frozen=True)
class Target:
    """One thing to break.

    Attributes
    ----------
    name : str
        Of the target.
    corpus : tuple of bytes
        Whole files to damage.
    feed : callable
        Takes bytes; raises what is a crash.
    limit_s : float
        Longer is a hang.
    share : int
        How often it comes up, against the others.
    """

    name: str
    corpus: tuple[bytes, ...]
    feed: Callable[[bytes], None]
    limit_s: float = 10.0
    share: int = 10


def corpus(kind: str) -> tuple[bytes, ...]:
    """Return the files of one folder of the corpus, by name."""
    return tuple(path.read_bytes() for path in sorted((CORPUS / kind).iterdir()))


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[Target, ...]]:
    """Yield every target; their files and their database live in `folder`."""
    node = nodes.Node(folder / "node", 11112)
    node.prepare()
    with wiring.open_site(config.load(node.config)) as site:
        yield _targets(folder, site)


def _targets(folder: Path, site: Site) -> tuple[Target, ...]:
    path = folder / "damaged"
    part10s, settings = corpus("part10"), AnalysisSettings()

    def reader(read: Callable[[Path], object]) -> Callable[[bytes], None]:
        def feed(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(TbsNodeError):
                read(path)

        return feed

    def take(data: bytes) -> None:
        received = site.archive.incoming / "fuzzed.part"
        received.write_bytes(data)
        instance = ReceivedInstance(
            path=received,
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax_uid="",
            calling_ae_title="FUZZ",
            called_ae_title="TBSNODE",
            host="127.0.0.1",
            association_id="",
        )
        try:
            with contextlib.suppress(TbsNodeError):
                intake.take(site, instance)
        finally:
            received.unlink(missing_ok=True)  # as the receiver does
        left = [each.name for each in site.archive.incoming.rglob("*") if each.is_file()]
        assert not left, f"left in incoming: {left}"

    def settings_file(data: bytes) -> None:
        wrong = folder / "damaged.toml"
        wrong.write_bytes(data)
        with contextlib.suppress(TbsNodeError):
            config.load(wrong)

    def clinical(data: bytes) -> None:
        for mistake in clinical_file.read(data, _TODAY).mistakes:
            str(mistake)

    def analyze(data: bytes) -> None:
        path.write_bytes(data)
        assert analyze_file(path, settings), "a file without a result"

    def digest_and_compare(each: Path) -> None:
        part10.data_set_digest(each)
        part10.compare(each, each)

    return (
        Target("identity", part10s, reader(identity.read_identity), share=20),
        Target("intake", part10s, take, share=20),
        Target("analyze", part10s, analyze, limit_s=60.0),
        Target("digest", part10s, reader(digest_and_compare), share=5),
        Target("own report", part10s, reader(own_report.read), share=5),
        Target("results report", part10s, reader(results_report.read_results), share=5),
        Target("results text", part10s, reader(results_text.read_results), share=5),
        Target("results comments", part10s, reader(results_comments.read_results), share=5),
        Target("clinical file", corpus("clinical"), clinical),
        Target("configuration", corpus("config"), settings_file, share=5),
    )
