"""init, db, check, serve, peer, conformance: what an administrator runs before and beside the node."""

from __future__ import annotations

import re
import socket
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tbsnode import config
from tbsnode.cli import init
from tbsnode.dicom import sop_classes
from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.model import Peer
from tbsnode.net import scu

# ---- init ------------------------------------------------------------------------------------------


def test_init_writes_a_shadow_node_that_only_lacks_its_peers(run: Any, tmp_path: Path) -> None:
    result = run("init", tmp_path / "node")
    assert result.exit_code == 0
    path = tmp_path / "node" / "tbsnode.toml"
    loaded = config.load(path)
    assert loaded.node.mode == "shadow"
    assert (loaded.receiver.callers, loaded.destinations, loaded.scanners) == ((), (), ())
    assert loaded.interpretation.reviewers == ()
    assert (tmp_path / "node" / "state").is_dir()
    assert f"tbsnode db upgrade --config {path}" in result.stdout


def test_init_here_needs_no_option(run: Any) -> None:
    assert re.search(r"tbsnode check$", run("init").stdout, re.MULTILINE)


def test_init_with_its_state_elsewhere_makes_no_folder_that_nobody_uses(run: Any, tmp_path: Path) -> None:
    """Root installs, the service's account runs: a folder that root makes would be closed to it."""
    state = tmp_path / 'lib "node"' / "state"
    result = run("init", tmp_path / "etc", "--state", state)
    assert result.exit_code == 0
    assert f"its state goes to {state}" in result.stdout
    loaded = config.load(tmp_path / "etc" / "tbsnode.toml")
    assert (loaded.node.state, loaded.archive.path) == (state, state / "archive")
    assert loaded.database.url == f"sqlite:///{state}/tbsnode.db"
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["tbsnode.toml"]
    assert not state.exists()


def test_init_overwrites_nothing(run: Any, tmp_path: Path) -> None:
    (tmp_path / "tbsnode.toml").write_text("mine", encoding="utf-8")
    result = run("init")
    assert result.exit_code == 10
    assert "exists already" in result.stderr
    assert (tmp_path / "tbsnode.toml").read_text(encoding="utf-8") == "mine"


def test_what_init_comments_out_is_the_example_again_without_the_marks() -> None:
    example = init.example()
    commented = [line[1:] for line in init.starting_point(example).splitlines() if re.match(r"#[^ ]", line)]
    assert "[[destinations]]" in commented
    marks_removed = "\n".join(
        re.sub(r"^#(?! )", "", line) for line in init.starting_point(example).splitlines()
    )
    original = tomllib.loads(example)
    original["node"]["mode"] = "shadow"
    again = tomllib.loads(marks_removed)
    again["receiver"]["callers"] = original["receiver"]["callers"]
    assert again == original


# ---- db --------------------------------------------------------------------------------------------


def test_db_current_and_upgrade(run: Any, run_json: Any, site_config: Path) -> None:
    shown = run_json("db", "current", "--config", site_config)
    assert shown["up_to_date"] is True
    assert shown["current"] == shown["needed"]
    assert "nothing to do" in run("db", "upgrade", "--config", site_config).stdout
    assert "up to date" in run("db", "current", "--config", site_config).stdout


def test_db_current_before_any_upgrade(run: Any, tmp_path: Path) -> None:
    run("init", tmp_path)
    assert "Run `tbsnode db upgrade`" in run("db", "current").stdout


def test_a_database_of_a_newer_version_is_not_for_an_upgrade(run: Any, site_config: Path) -> None:
    with closing(sqlite3.connect(site_config.parent / "state" / "tbsnode.db")) as connection:
        connection.execute("UPDATE tbs_revision SET version_num = '0099'")
        connection.commit()
    shown = run("db", "current", "--config", site_config).stdout
    assert "made by a newer tbsnode" in shown
    assert "db upgrade" not in shown
    assert "newer" in run("db", "upgrade", "--config", site_config).output


def test_check_of_a_damaged_database(run_json: Any, healthy: Path) -> None:
    (healthy.parent / "state" / "tbsnode.db").write_bytes(b"no database" * 1000)
    assert "db restore" in failures(run_json("check", "--config", healthy))["database"]["remedy"]


# ---- check -----------------------------------------------------------------------------------------


def failures(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["what"]: one for one in shown["checks"] if not one["ok"]}


def edited(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.fixture
def healthy(site_config: Path, free_port: int) -> Path:
    edited(site_config, "port = 11199", f"port = {free_port}")
    text = site_config.read_text(encoding="utf-8")
    site_config.write_text(text[: text.index("[[destinations]]")], encoding="utf-8")
    return edited(site_config, 'ae_title = "TBSTEST"', 'ae_title = "TBSTEST"\nmode = "shadow"')


def test_check_of_a_healthy_node(run: Any, run_json: Any, healthy: Path) -> None:
    result = run("check", "--config", healthy)
    assert result.exit_code == 0, result.stdout
    assert all(line.startswith("OK  ") for line in result.stdout.splitlines())
    shown = run_json("check", "--config", healthy)
    assert shown["ok"] is True
    assert [one["what"] for one in shown["checks"]] == [
        *("configuration", "callers", "database", "clock", "state", "archive", "port", "destinations")
    ]


def test_check_of_a_database_that_is_away(run_json: Any, healthy: Path) -> None:
    edited(healthy, "[archive]", '[database]\nurl = "postgresql+psycopg://node@127.0.0.1:9/node"\n[archive]')
    found = failures(run_json("check", "--config", healthy))["database"]
    assert "did not answer" in found["text"]
    assert found["remedy"] == "Start the database server, or correct [database] url."


def test_check_names_all_mistakes_of_a_configuration(run: Any, run_json: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(
        '[node]\nae_title = "SEVENTEEN_LETTERS"\nmode = "dry"\n[receiver]\nprot = 1\nport = 99999\n'
        '[database]\nurl = "oracle://h"\n',
        encoding="utf-8",
    )
    result = run("check", "--config", path)
    assert result.exit_code == 10
    assert result.stdout.count("FAIL") == 5
    assert result.stdout.count("->") == 5
    assert len(failures(run_json("check", "--config", path))) == 5


def test_check_of_a_new_node_says_what_is_missing(run: Any, run_json: Any, tmp_path: Path) -> None:
    run("init", tmp_path)
    found = failures(run_json("check"))
    assert "receiver.callers" in found["callers"]["remedy"]
    assert found["database"]["remedy"] == "Run `tbsnode db upgrade`."
    assert run("check").exit_code == 10


def test_check_without_destination_in_live_mode(run: Any, run_json: Any, healthy: Path) -> None:
    edited(healthy, 'mode = "shadow"', 'mode = "live"')
    assert "[[destinations]]" in failures(run_json("check", "--config", healthy))["destinations"]["remedy"]


def test_check_disk(run: Any, run_json: Any, healthy: Path) -> None:
    edited(healthy, "min_free_percent = 0", "min_free_percent = 99.99")
    assert "Free disk space" in failures(run_json("check", "--config", healthy))["archive"]["remedy"]
    assert run("check", "--config", healthy).exit_code == 40


def test_check_archive_that_is_no_folder(run_json: Any, healthy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    edited(healthy, "[archive]", '[archive]\npath = "file"')
    assert "not a folder" in failures(run_json("check", "--config", healthy))["archive"]["text"]


def test_check_port_of_another_program(run: Any, run_json: Any, healthy: Path) -> None:
    port = config.load(healthy).receiver.port
    with socket.create_server(("127.0.0.1", port)):
        found = failures(run_json("check", "--config", healthy))
        assert "another program" in found["port"]["text"]
        assert run("check", "--config", healthy).exit_code == 40


def test_check_looks_at_every_port_that_serve_listens_on(run_json: Any, healthy: Path) -> None:
    files = "".join(f'{name} = "absent.pem"\n' for name in ("certificate", "key", "ca"))
    with socket.create_server(("127.0.0.1", 0)) as tls, socket.create_server(("127.0.0.1", 0)) as http:
        tables = f"[receiver.tls]\nport = {tls.getsockname()[1]}\n{files}[archive]"
        edited(healthy, "[archive]", tables)
        edited(healthy, "[http]\nport = 0", f"[http]\nport = {http.getsockname()[1]}")
        found = failures(run_json("check", "--config", healthy))
    assert "another receiver.tls.port" in found["port for TLS"]["remedy"]
    assert "another http.port" in found["port for HTTP"]["remedy"]
    assert "port" not in found


def test_check_port_of_this_node(run_json: Any, healthy: Path) -> None:
    from tbsnode import node

    loaded = config.load(healthy)
    with (
        socket.create_server(("127.0.0.1", loaded.receiver.port)),
        node.hold_slot(loaded.node.state, "receive", 0),
    ):
        shown = run_json("check", "--config", healthy)
    assert shown["ok"] is True
    assert "this node is running" in next(one["text"] for one in shown["checks"] if one["what"] == "port")


def test_check_destination_that_is_not_there(run: Any, run_json: Any, site_config: Path) -> None:
    found = failures(run_json("check", "--config", site_config))
    assert "cannot be reached" in found["destination pacs"]["text"]
    assert "TBSTEST" in found["destination pacs"]["remedy"]
    assert run("check", "--config", site_config).exit_code == 50


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Any]:
    """Start a PACS that takes some classes; yields a function that returns its port."""
    from tbsnode.net.scp import Caller, ScpSettings, StorageScp

    started: list[StorageScp] = []

    def start(*classes: str) -> int:
        settings = ScpSettings(
            ae_title="PACS",
            bind="127.0.0.1",
            port=0,
            callers=(Caller("TBSTEST", "127.0.0.1"),),
            incoming=tmp_path,
            storage_classes=classes,
            transfer_syntaxes=(sop_classes.IMPLICIT_VR_LITTLE_ENDIAN,),
        )
        scp = StorageScp(settings, lambda received: None, lambda event: None)
        scp.start()
        started.append(scp)
        return scp.port

    yield start
    for scp in started:
        scp.stop()


def test_check_asks_a_destination_what_it_takes(
    run: Any, run_json: Any, site_config: Path, pacs: Any
) -> None:
    port = pacs(sop_classes.SR_CLASSES["comprehensive"])
    edited(site_config, "port = 9\n", f"port = {port}\n")
    shown = run_json("check", "--config", site_config)
    texts = [one["text"] for one in shown["checks"] if one["what"] == "destination pacs"]
    assert "answers C-ECHO" in texts[0]
    assert "takes SR: Comprehensive SR Storage (Implicit VR Little Endian)" in texts[1]
    assert "does not accept PDF (Encapsulated PDF Storage)" in texts[2]
    assert "does not accept withdrawals (Key Object Selection Document Storage)" in texts[3]
    assert "Ask its administrator" in failures(shown)["destination pacs"]["remedy"]
    assert run("check", "--config", site_config).exit_code == 50


@pytest.mark.parametrize(
    ("error", "ok", "said", "remedy"),
    [
        (None, True, "answers queries", ""),
        (scu.NoQuery("no query"), True, "offers no query", ""),
        (PeerUnreachable("broke off", remedy="See its log."), False, "waits for it", "See its log."),
        (PeerError("failed the query"), False, "failed the query", "Ask its administrator"),
    ],
)
def test_check_asks_a_question_before_a_late_sending_does(
    run_json: Any,
    site_config: Path,
    pacs: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: PeerError | None,
    ok: bool,
    said: str,
    remedy: str,
) -> None:
    """A PACS took the association of a node that it does not know, and broke off every query."""

    def answer(peer: Peer, uid: str) -> None:
        if error is not None:
            raise error

    edited(site_config, "port = 9\n", f"port = {pacs(sop_classes.PDF)}\n")
    monkeypatch.setattr(scu, "find_study", answer)
    shown = run_json("check", "--config", site_config)
    last = [one for one in shown["checks"] if one["what"] == "destination pacs"][-1]
    assert (last["ok"], said in last["text"]) == (ok, True)
    assert (last["remedy"] or "").startswith(remedy)


def test_check_of_a_pacs_for_earlier_examinations(run: Any, run_json: Any, site_config: Path) -> None:
    """It is no known caller, so it could not bring what it is asked for; and it offers no query."""
    edited(site_config, "[[destinations]]", '[priors]\ndestination = "pacs"\n[[destinations]]')
    shown = run_json("check", "--config", site_config)
    lines = [one for one in shown["checks"] if one["what"] == "earlier examinations from pacs"]
    assert [one["ok"] for one in lines] == [False, False]
    assert "no known caller" in lines[0]["text"]
    assert 'Add { ae_title = "PACS"' in lines[0]["remedy"]
    assert "cannot be reached" in lines[1]["text"]
    edited(site_config, 'ae_title = "SCANNER"', 'ae_title = "PACS"')
    shown = run_json("check", "--config", site_config)
    assert len([one for one in shown["checks"] if one["what"] == "earlier examinations from pacs"]) == 1


def test_check_of_a_pacs_that_offers_query_and_retrieval(
    run_json: Any, site_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    from tbsnode.net import query

    asked: list[str] = []
    monkeypatch.setattr(query, "asking", lambda peer, timeout_s: nullcontext(asked.append(peer.name)))
    edited(site_config, "[[destinations]]", '[priors]\ndestination = "pacs"\n[[destinations]]')
    shown = run_json("check", "--config", site_config)
    last = shown["checks"][-1]
    assert (last["what"], last["ok"], asked) == ("earlier examinations from pacs", True, ["pacs"])
    assert "TBSTEST" in last["text"]


def test_check_says_when_nobody_can_sign_for_a_destination(run_json: Any, site_config: Path) -> None:
    text = site_config.read_text(encoding="utf-8")
    site_config.write_text(f'{text}release = "signed"\n', encoding="utf-8")

    def line() -> dict[str, Any]:
        lines = run_json("check", "--config", site_config)["checks"]
        (found,) = [one for one in lines if one["what"] == "reviewers"]
        return dict(found)

    assert not line()["ok"]
    assert "pacs gets signed results only" in line()["text"]
    signers = '[interpretation]\nreviewers = [{ login = "jdoe", name = "Doe^Jane" }]\n'
    site_config.write_text(f'{signers}{text}release = "signed"\n', encoding="utf-8")
    assert (line()["ok"], line()["text"]) == (True, "jdoe")


# ---- peer, serve -----------------------------------------------------------------------------------


def test_peer_list_and_echo(run: Any, run_json: Any, site_config: Path, pacs: Any) -> None:
    (listed,) = run_json("peer", "list", "--config", site_config)
    assert (listed["name"], listed["ae_title"], listed["port"]) == ("pacs", "PACS", 9)
    assert run("peer", "echo", "--config", site_config).exit_code == 50
    edited(site_config, "port = 9\n", f"port = {pacs(sop_classes.PDF)}\n")
    (answer,) = run_json("peer", "echo", "pacs", "--config", site_config)
    assert answer["ok"] is True
    unknown = run("peer", "echo", "nobody", "--config", site_config)
    assert unknown.exit_code == 2
    assert "tbsnode peer list" in unknown.stderr


def test_serve_refuses_an_unknown_role(run: Any, site_config: Path) -> None:
    result = run("serve", "--only", "receive,dance", "--config", site_config)
    assert result.exit_code == 2
    assert "dance is no role" in result.stderr


def test_serve_refuses_an_old_database(run: Any, tmp_path: Path) -> None:
    run("init", tmp_path)
    result = run("serve")
    assert result.exit_code == 10
    assert "tbsnode db upgrade" in result.stderr


# ---- conformance -----------------------------------------------------------------------------------


def test_conformance_names_what_is_negotiated(run: Any, site_config: Path, tmp_path: Path) -> None:
    text = run("conformance", "--config", site_config).stdout
    for uid in (*sop_classes.STORAGE.values(), *sop_classes.TRANSFER_SYNTAXES):
        assert f"| {uid} |" in text
    for said in ("TBSTEST", "`SCANNER`", "#### pacs: PACS at 127.0.0.1, port 9", "0xA700", "TID 1500"):
        assert said in text
    headings = re.findall(r"^## (\d)", text, re.MULTILINE)
    assert headings == ["1", "2", "3", "4", "5", "6", "7"]
    assert run("conformance", "--config", site_config, "-o", tmp_path / "c.md").stdout == ""
    assert (tmp_path / "c.md").read_text(encoding="utf-8").strip() == text.strip()


def test_conformance_names_what_is_asked_of_others(run: Any, site_config: Path) -> None:
    from tbsnode.net import query

    text = run("conformance", "--config", site_config).stdout
    for uid in (query.FIND, query.MOVE):
        assert f"| {uid} | yes | no |" in text
    pacs = text[text.index("#### pacs:") : text.index("### 3.5")]
    assert sop_classes.KEY_OBJECT_SELECTION in pacs
    for status in ("0x0213", "0x0111", "0x0110"):
        assert status in pacs
    assert "| 1, 1, 3 |" in text


def test_conformance_names_the_ports_that_are_open(run: Any, site_config: Path) -> None:
    files = 'certificate = "a"\nkey = "b"\nca = "c"\n'
    edited(site_config, "[[destinations]]", f"[receiver.tls]\n{files}only = true\n[[destinations]]")
    assert "| Port | 2762 (TLS) |" in run("conformance", "--config", site_config).stdout
    edited(site_config, "only = true", "")
    assert "| Port | 11199, 2762 (TLS) |" in run("conformance", "--config", site_config).stdout


def test_our_receiver_accepts_what_the_statement_says(site_config: Path, free_port: int) -> None:
    from tbsnode import node, receivers
    from tbsnode.model import Peer
    from tbsnode.net import scu

    edited(site_config, "port = 11199", f"port = {free_port}")
    loaded = config.load(site_config)
    ourselves = Peer(
        name="us", ae_title="TBSTEST", host="127.0.0.1", port=free_port, calling_ae_title="SCANNER"
    )
    with node.open_site(loaded) as site:
        receiver = receivers.make_receiver(loaded, site)
        receiver.start()
        try:
            accepted = scu.accepts(ourselves, list(sop_classes.STORAGE.values()))
        finally:
            receiver.stop()
    both = (sop_classes.EXPLICIT_VR_LITTLE_ENDIAN, sop_classes.IMPLICIT_VR_LITTLE_ENDIAN)
    assert accepted == dict.fromkeys(sop_classes.STORAGE.values(), both)


def test_conformance_follows_the_configuration(run: Any, healthy: Path) -> None:
    text = run("conformance", "--config", healthy).stdout
    assert "shadow mode" in text
    assert "No destination is configured" in text


@pytest.mark.parametrize("url", ["postgres://u@h/db", "postgresql://u@h/db", "mysql://h/db"])
def test_a_move_to_a_wrong_url_is_said_in_the_words_of_the_configuration(
    run: Any, site_config: Path, url: str
) -> None:
    result = run("db", "move", url, "--config", site_config)
    assert result.exit_code == 10
    assert "postgresql+psycopg://" in result.stderr
    assert "fault of tbsnode" not in result.stderr


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '[interpretation]\nreference_file = "nofile.toml"\n',
            "FAIL  reference curve: ",
        ),
        ('[notify]\nwebhook = "http://127.0.0.1:9/x"\ntoken_file = "nofile"\n', "FAIL  notify: "),
    ],
)
def test_check_reads_the_files_that_the_configuration_names(
    run: Any, site_config: Path, written: str, said: str
) -> None:
    site_config.write_text(f"{site_config.read_text()}\n{written}")
    result = run("check", "--config", site_config)
    assert said in result.stdout
    assert result.exit_code != 0
