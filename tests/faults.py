"""What goes wrong in a hospital, done to real processes: each fault ends with every result at the PACS, once.

A scanner (DCMTK storescu) sends a study until it is acknowledged, as scanners do; an archive (DCMTK
storescp) keeps every copy that it receives, so that a second one would be seen. ``python -m
tests.faults`` runs every row and prints what was counted; `tests/integration/test_faults.py` runs the
quick ones.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from tests import machines, nodes, peers
from tests.fault_world import SQLITE, Counts, World, environment, world

# Where a process kills itself with -9: the module and function, and on which side of it.
BORDERS = {
    "data set half received": "tbsnode.net.receipt:Receipt.write:after",
    "received, before the rename": "tbsnode.store.archive:Archive.keep:before",
    "renamed, before its row": "tbsnode.store.archive:Archive.keep:after",
    "row written, before the commit": "tbsnode.pipeline.intake:_settle:after",
    "committed, before the answer": "tbsnode.pipeline.intake:take:after",
    "analyzed, before it is published": "tbsnode.pipeline.publish:publish:before",
    "instance registered, before the commit": "tbsnode.pipeline.registered:register:after",
    "published, before the job ends": "tbsnode.pipeline.study:process:after",
    "before sending": "tbsnode.pipeline.deliver:_send_all:before",
    "one of two sent": "tbsnode.net.scu:_store:after",
    "all sent, before it is written down": "tbsnode.pipeline.deliver:_record:before",
    "written down, before it is concluded": "tbsnode.pipeline.deliver:_conclude:before",
}


# ---- the rows -----------------------------------------------------------------------------------


def killed_at(border: str, folder: Path, url: str = SQLITE) -> Counts:
    """Kill -9 the process that gets to a border, once; the supervisor and the scanner do the rest."""
    marker = folder / "killed"
    with world(folder, url) as here, here.pacs():
        with environment(TBSNODE_FAULT=f"{BORDERS[border]}:{marker}"):
            here.node.start()
        here.send(3)
        counts = here.settle()
    assert marker.exists(), "nothing was killed"
    return counts


def pacs_slow(folder: Path, url: str = SQLITE) -> Counts:
    """The archive takes two seconds for each instance."""
    with world(folder, url) as here, here.pacs("--sleep-after", "2"):
        here.node.start()
        here.send(3)
        return here.settle()


def pacs_refuses_one_class(folder: Path, url: str = SQLITE) -> Counts:
    """The archive accepts structured reports and no PDF: the study says `partial`, and why."""
    profile = folder / "no-pdf.cfg"
    folder.mkdir(parents=True, exist_ok=True)
    profile.write_text(_NO_PDF)
    with world(folder, url) as here:
        here.pacs_options = ("+uf", "-xf", str(profile), "NoPdf")
        with here.pacs():
            here.node.start()
            here.send(2)
            here.ledger.settle_all(2, timeout_s=60)
            counts = here.count(wanted=1)
        states = {row["state"] for row in here.ledger.rows("SELECT state FROM tbs_delivery")}
        assert states == {"partial"}, states
        counts.note = "SR stored, PDF not accepted: state partial, each answer kept"
        return counts


_NO_PDF = """\
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Reports]
PresentationContext1 = VerificationSOPClass\\Plain
PresentationContext2 = Comprehensive3DSRStorage\\Plain
[[Profiles]]
[NoPdf]
PresentationContexts = Reports
"""


def pacs_gone(folder: Path, url: str = SQLITE) -> Counts:
    """The archive is away while the node's clock runs through a weekend, then comes back."""
    with _clock(folder) as set_clock, world(folder, url, settings="") as here:
        here.node.start()
        here.send(3)
        peers.wait_until(lambda: _tried(here) >= 2, "a second try", 40)
        set_clock(60 * 3600.0)
        peers.wait_until(lambda: _tried(here) >= 4, "tries after the weekend", 60)
        with here.pacs():
            counts = here.settle()
        counts.note = "clock put forward by 60 h between tries"
        return counts


def pacs_cut_off(folder: Path, url: str = SQLITE) -> Counts:
    """The cable of the archive is cut for a quarter of a minute while results are sent, then mended."""
    with (
        machines.hospital("node", "pacs") as at,
        at["node"].here(),
        world(folder, url, pacs_host=at["pacs"].address) as here,
        contextlib.ExitStack() as stack,
    ):
        with at["pacs"].here():
            archive = stack.enter_context(here.pacs("--sleep-during", "1"))
        here.node.start()
        here.send(3)
        peers.wait_until(archive.files, "the first instance to come", 60)
        with at["pacs"].away():
            time.sleep(15)
            assert here.send(1) == [True], "nobody is kept from sending to us"
        counts = here.settle(timeout_s=240)
        counts.note = "in the middle of a sending, without a word"
        return counts


def _tried(here: World) -> int:
    return max((row["tries"] for row in here.ledger.rows("SELECT tries FROM tbs_delivery")), default=0)


def clock_set_back(folder: Path, url: str = SQLITE) -> Counts:
    """The clock of the node's machine is set back by two hours while studies arrive."""
    with _clock(folder) as set_clock, world(folder, url) as here, here.pacs():
        here.node.start()
        here.send(2)
        set_clock(-7200.0)
        here.send(2)
        return here.settle()


@contextlib.contextmanager
def _clock(folder: Path) -> Iterator[Callable[[float], None]]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "clock"
    file.write_text("0")

    def set_clock(offset_s: float) -> None:
        new = file.with_suffix(".new")
        new.write_text(str(offset_s))
        new.replace(file)
        time.sleep(0.3)  # a real clock is set for all processes at once; these read the file every 0.2 s

    with environment(TBSNODE_CLOCK=str(file)):
        yield set_clock


def full_disk(folder: Path, url: str = SQLITE) -> Counts:
    """The archive's own file system is full (ENOSPC): 0xA700, and the study arrives once there is room."""
    with _small_disk(folder) as disk, world(folder / "w", url, archive=str(disk / "archive")) as here:
        with here.pacs():
            here.node.start()
            here.send(1)
            here.ledger.settle_all(1)
            _fill(disk)
            assert here.send(1, until_acknowledged=False) == [False], "acknowledged on a full disk"
            (disk / "filler").unlink()
            here.send_file(here.folder / "sent" / "s001-0.dcm")
            counts = here.settle()
        counts.note = "refused while full, 0xA700 " + _said(here, "0xA700")
        return counts


def read_only_archive(folder: Path, url: str = SQLITE) -> Counts:
    """The archive's file system turns read-only: refused, and the study arrives once it is mended."""
    with _small_disk(folder) as disk, world(folder / "w", url, archive=str(disk / "archive")) as here:
        with here.pacs():
            here.node.start()
            here.send(1)
            here.ledger.settle_all(1)
            _mount("-o", "remount,ro", str(disk))
            try:
                assert here.send(1, until_acknowledged=False) == [False], "acknowledged without a disk"
            finally:
                _mount("-o", "remount,rw", str(disk))
            here.send_file(here.folder / "sent" / "s001-0.dcm")
            counts = here.settle()
        counts.note = "refused while read-only"
        return counts


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount 8 MB of memory; only root may."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass


def _said(here: World, word: str) -> str:
    found = word in here.node.log.read_text()
    return "said in the log" if found else "NOT said in the log"


def corrupted_archive(folder: Path, url: str = SQLITE) -> Counts:
    """A bit of a finished report rots before it is sent: verify finds it, it is not sent until restored."""
    with world(folder, url) as here:
        here.node.start()
        here.send(1)
        (uid,) = here.uids
        here.ledger.settle_analysis(uid)
        peers.wait_until(lambda: _tried(here) >= 1, "a try")
        row = next(each for each in here.ledger.made(uid) if each["kind"] == "pdf")
        path = here.ledger.archived(row["path"])
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        found = here.node.cli("db", "verify", ok=False)
        assert found.returncode != 0
        assert row["path"] in found.stdout + found.stderr
        with here.pacs() as peer:
            failed = lambda: here.ledger.deliveries(uid)[0]["state"] == "failed"  # noqa: E731
            peers.wait_until(failed, "the delivery to be refused", 30)
            assert peer.files() == []
            path.write_bytes(whole)
            here.node.cli("queue", "retry", f"delivery/{here.ledger.deliveries(uid)[0]['id']}")
            counts = here.settle()
        counts.note = "db verify names the file; delivery failed until it was restored"
        return counts


def worker_frozen(folder: Path, url: str = SQLITE) -> Counts:
    """A worker is stopped (SIGSTOP) for longer than its lease, then revived."""
    with world(folder, url, workers=2) as here, here.pacs():
        here.node.start()
        frozen = here.child("analyze")
        os.kill(frozen, signal.SIGSTOP)
        try:
            here.send(6)
            counts = here.settle()
        finally:
            os.kill(frozen, signal.SIGCONT)
        time.sleep(2)
        here.send(2)
        counts = here.settle()
        assert [len(here.ledger.analyses(uid)) for uid in here.uids] == [1] * 8
        return counts


def two_nodes_on_one_folder(folder: Path, url: str = SQLITE) -> Counts:
    """A second `serve` with the same configuration: it waits, says so, and takes over later."""
    with world(folder, url) as here, here.pacs():
        here.node.start()
        here.send(2)
        first = here.node.process
        second = nodes.Node(**{**vars(here.node), "process": None})
        before = here.node.log.stat().st_size
        second.start()
        waits = lambda: "waits" in here.node.log.read_text()[before:]  # noqa: E731
        peers.wait_until(waits, "the second to say that it waits", 30)
        here.send(2)
        here.settle()
        assert first is not None
        first.kill()
        first.wait()
        here.node.process = second.process
        here.send(2)
        counts = here.settle()
        counts.note = "the second says that it waits, and takes over"
        return counts


def database_restarted(folder: Path, server: peers.Postgres, url: str) -> Counts:
    """PostgreSQL is stopped at once (immediate) while studies arrive, and started again."""
    address = f"postgresql://postgres@{peers.LOOPBACK}:{server.port}/postgres"
    with psycopg.connect(address) as connection:
        data = Path(connection.execute("SHOW data_directory").fetchall()[0][0])
    command = shlex.split((data / "postmaster.opts").read_text())
    user = "postgres" if os.geteuid() == 0 else None
    ready = functools.partial(peers.answers, server.port)
    with world(folder, url) as here, here.pacs():
        here.node.start()
        here.send(2)
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        peers.wait_until(lambda: not ready(), "the server to be gone")
        assert here.send(1, until_acknowledged=False) == [False], "acknowledged without a database"
        with peers.running(command, data.parent / "log2", ready, user, signal.SIGQUIT):
            here.send_file(here.folder / "sent" / "s002-0.dcm")
            here.send(2)
            counts = here.settle(timeout_s=120)
            here.node.stop()
        counts.note = "refused while it was down"
        return counts


ROWS: dict[str, Callable[[Path, str], Counts]] = {
    **{f"kill -9: {border}": functools.partial(killed_at, border) for border in BORDERS},
    "PACS slow (2 s an instance)": pacs_slow,
    "PACS refuses one class": pacs_refuses_one_class,
    "PACS gone for a weekend": pacs_gone,
    "clock set back 2 h": clock_set_back,
    "full disk (ENOSPC)": full_disk,
    "archive read-only": read_only_archive,
    "archive file corrupted": corrupted_archive,
    "worker frozen and revived": worker_frozen,
    "two nodes on one state folder": two_nodes_on_one_folder,
}
SQLITE_ROWS: dict[str, Callable[[Path, str], Counts]] = {"PACS cut off while it is sent to": pacs_cut_off}
DATABASE_ROW = "database stopped and started"
NEEDS_ROOT = ("full disk (ENOSPC)", "archive read-only", *SQLITE_ROWS)


def associations(folder: Path, number: int) -> Counts:
    """Many associations to a serving node, every tenth aborted in the middle of a data set."""
    from tests import crowd

    with world(folder) as here, here.pacs():
        here.node.start()
        here.send(1)
        here.settle()
        receiver = here.child("receive")
        crowd.call(here.node.port, 300)  # so that caches are warm
        before = crowd.look(receiver)
        crowd.call(here.node.port, number)
        time.sleep(1.0)
        after = crowd.look(receiver)
        peers.wait_until(lambda: here.node.incoming() == [], "an empty incoming folder")
        here.send(1)
        counts = here.settle()
        assert here.child("receive") == receiver, "the receiver has died"
        counts.note = f"receiver {before} -> {after}; incoming empty"
        return counts


def main(argv: list[str]) -> int:
    """Run the rows and print the table; 1 where one did not survive."""
    import argparse
    import tempfile

    from tests import schemas

    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--associations", type=int, default=0, help="so many associations, a tenth aborted")
    asked = parser.parse_args(argv)
    failed = 0
    print(f"{'fault':46s} {'database':10s} sent ack. results dupl. lost  seconds")
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch.chmod(0o755)
        for database in ("sqlite", "postgresql"):
            if asked.database not in (database, "both"):
                continue
            server = stack.enter_context(peers.postgres()) if database == "postgresql" else None
            rows = ROWS if server else ROWS | SQLITE_ROWS  # no server is in the network of its own
            for number, (name, row) in enumerate(rows.items()):
                if asked.only in name and not (name in NEEDS_ROOT and os.geteuid() != 0):
                    url = schemas.fresh_postgresql(server, engine=True) if server else SQLITE
                    started = functools.partial(row, scratch / f"{database}{number}", url)
                    failed += _print_row(name, database, started)
            if server and asked.only in DATABASE_ROW:
                url = schemas.fresh_postgresql(server, engine=True)
                restarted = functools.partial(database_restarted, scratch / "restarted", server, url)
                failed += _print_row(DATABASE_ROW, database, restarted)
        if asked.associations:
            failed += _print_row(
                f"{asked.associations} associations, a tenth aborted", "sqlite",
                lambda: associations(scratch / "many", asked.associations),
            )  # fmt: skip
    return 1 if failed else 0


def _print_row(name: str, database: str, row: Callable[[], Counts]) -> int:
    began = time.monotonic()
    try:
        c = row()
    except BaseException as error:  # a row that fails must not hide the others
        if isinstance(error, KeyboardInterrupt):
            raise
        print(f"{name:46s} {database:10s} FAILED: {str(error)[-700:]}", flush=True)
        return 1
    numbers = f"{c.sent:4d} {c.acknowledged:4d} {c.results:7d} {c.duplicates:5d} {c.lost:4d}"
    print(f"{name:46s} {database:10s} {numbers} {time.monotonic() - began:8.0f}  {c.note}", flush=True)
    return 0 if c.survived else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
