"""The configuration: each mistake by hand, the environment, the example."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from tbsnode import config
from tbsnode.config import Config, loading
from tbsnode.errors import InvalidConfiguration, Mistake

EXAMPLE = Path(__file__).parents[2] / "config" / "tbsnode.example.toml"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TBSNODE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> Path:
    path = folder / "tbsnode.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_of(folder: Path, text: str) -> tuple[Mistake, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        config.load(write(folder, text))
    assert caught.value.exit_code == 10
    return caught.value.mistakes


DESTINATION = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "192.0.2.20"\n'
TLS = '[receiver.tls]\ncertificate = "a.crt"\nkey = "a.key"\nca = "ca.crt"\n'
POSTGRESQL = '[database]\nurl = "postgresql+psycopg://node@db/tbsnode"\n'


def caller(host: str) -> str:
    return f'[receiver]\ncallers = [{{ ae_title = "A", host = "{host}" }}]'


@pytest.mark.parametrize(
    ("text", "key", "problem", "remedy"),
    [
        ('[node]\nae_title = "SEVENTEEN_LETTERS"', "node.ae_title", "has 17", "Shorten"),
        ('[node]\nae_title = ""', "node.ae_title", "has 0", "Shorten"),
        ('[node]\nae_title = " A"', "node.ae_title", "no blank", "exactly"),
        ('[node]\nae_title = "A\\\\B"', "node.ae_title", "backslash", "exactly"),
        ('[node]\nae_title = "KLINIK_\u00dc"', "node.ae_title", "ASCII", "exactly"),
        ("[node]\nae_title = 7", "node.ae_title", "a text is needed", "quotes"),
        ('[node]\nmode = "dry"', "node.mode", "not known", '"live" or "shadow"'),
        ('[priors]\ndestination = "pacs"', "priors.destination", "no destination", "[[destinations]] first"),
        (
            f'{DESTINATION}[priors]\ndestination = "pax"',
            "priors.destination",
            "no destination",
            "Write one of: pacs.",
        ),
        ("[receiver]\nprot = 104", "receiver.prot", "no such key", "Did you mean port?"),
        ("[receiver]\nquiet_s = 3", "receiver.quiet_s", "no such key", "belongs to [completion]"),
        ("[reciever]\nport = 104", "reciever", "no such key", "Did you mean receiver?"),
        ("[http]\nzzz = 1", "http.zzz", "no such key", "Known here: bind, port."),
        ("[receiver]\nport = 0", "receiver.port", "greater than or equal to 1", "Correct"),
        ("[receiver]\nport = 65536", "receiver.port", "less than or equal to 65535", "Correct"),
        ('[receiver]\nport = "many"', "receiver.port", "a whole number", "digits"),
        ('[receiver]\nport = "11112"', "receiver.port", "a whole number", "without quotes"),
        ("[receiver]\nport = 11112.0", "receiver.port", "a whole number", "digits"),
        ("[receiver]\nport = true", "receiver.port", "a whole number", "digits"),
        ('[http]\nport = "8043"', "http.port", "a whole number", "without quotes"),
        ('[analysis]\nworkers = "2"', "analysis.workers", "a whole number", "without quotes"),
        ('[completion]\nquiet_s = "30"', "completion.quiet_s", "a number is needed", "without quotes"),
        ("[completion]\nquiet_s = true", "completion.quiet_s", "a number is needed", "without quotes"),
        ('[logging]\njson = "true"', "logging.json", "true or false", "without quotes"),
        ("[coding]\nenabled = 1", "coding.enabled", "true or false", "without quotes"),
        (
            '[[scanners]]\nmodel = "m"\npixel_spacing_mm = ["0.5", 0.5]',
            "scanners[0].pixel_spacing_mm[0]",
            "a number is needed",
            "without quotes",
        ),
        (
            '[receiver]\ncallers = [{ ae_title = "A", host = "*", port = "104" }]',
            "receiver.callers[0].port",
            "a whole number",
            "without quotes",
        ),
        ('[receiver]\nbind = "a b"', "receiver.bind", "neither an IP address", "192.0.2.20"),
        (caller("300.1.2.3"), "receiver.callers[0].host", "neither an address", '"*"'),
        (caller("192.0.2.1/24"), "receiver.callers[0].host", "not a network", "/24"),
        (caller(""), "receiver.callers[0].host", "neither an address", '"*"'),
        ('[receiver]\ncallers = [{ ae_title = "A" }]', "receiver.callers[0].host", "required", "Add"),
        ('[receiver]\ncallers = ["A"]', "receiver.callers[0]", "a table is needed", "{ key = value, ... }"),
        (
            '[receiver]\ncallers = [{ ae_title = "A", host = "*" }, { ae_title = "A", host = "*" }]',
            "receiver.callers[1].ae_title",
            "another caller",
            "remove",
        ),
        (
            '[receiver]\ncallers = [{ ae_title = "A", host = "h", quiet_s = 9 },'
            ' { ae_title = "A", host = "i" }]',
            "receiver.callers[1].ae_title",
            "other times",
            "the same quiet_s",
        ),
        ('[database]\nurl = "mysql://h/d"', "database.url", "not a database", "sqlite:///"),
        ('[database]\nurl = "tbsnode.db"', "database.url", "not a database", "sqlite:///"),
        ('[database]\nurl = "sqlite://"', "database.url", "survives", "three slashes"),
        ('[database]\nurl = "sqlite:///:memory:"', "database.url", "survives", "three slashes"),
        ('[database]\nurl = "postgresql://h/d"', "database.url", "driver", "postgresql+psycopg"),
        ('[database]\nurl = "sqlite:///~nobody-here/t.db"', "database.url", "home folder", "absolute path"),
        ('[node]\nstate = "~nobody-here/state"', "node.state", "home folder", "absolute path"),
        ('[database]\npassword_file = "x"', "database", "a user and no password", "user@host"),
        (
            '[database]\nurl = "postgresql+psycopg://u@h/d"\npassword_file = "none"',
            "database",
            "cannot be read",
            "Create it",
        ),
        ("[archive]\nmin_free_percent = 100", "archive.min_free_percent", "less than 100", "Correct"),
        ("[archive]\nmin_free_bytes = -1", "archive.min_free_bytes", "equal to 0", "Correct"),
        ('[logging]\njson = "maybe"', "logging.json", "true or false", "without quotes"),
        ("[completion]\nquiet_s = -1", "completion.quiet_s", "equal to 0", "Correct"),
        ("[completion]\nquiet_s = inf", "completion.quiet_s", "finite", "Correct"),
        ("[analysis]\nworkers = 0", "analysis.workers", "equal to 1", "Correct"),
        ("[destinations]\nname = 'a'", "destinations", "one table", "[[destinations]]"),
        (f"{DESTINATION}\nsend = []", "destinations[0].send", "empty", "at least one"),
        (f'{DESTINATION}\nsend = ["gif"]', "destinations[0].send[0]", "not known", "overlay"),
        (f'{DESTINATION}\nsend = "sr"', "destinations[0].send", "a list is needed", "brackets"),
        (f"{DESTINATION}\ncommitment = 2", "destinations[0].commitment", "true or false", "without quotes"),
        (f'{DESTINATION}\nrelease = "final"', "destinations[0].release", "not known", "preliminary"),
        (
            f"{DESTINATION}\nwait_for_study_s = -5",
            "destinations[0].wait_for_study_s",
            "equal to 0",
            "Correct",
        ),
        (DESTINATION + DESTINATION, "destinations[1].name", "another destination", "Rename"),
        (
            DESTINATION + DESTINATION.replace('"pacs"', '"archive"'),
            "destinations[1].ae_title",
            "it would get pdf, sr twice",
            "Remove one",
        ),
        (
            '[[destinations]]\nname = "a"\nae_title = "TBSNODE"\nhost = "localhost"\nport = 11112',
            "destinations[0].port",
            "this node itself",
            "PACS",
        ),
        (
            "[interpretation]\nfrax_adjustment = 2",
            "interpretation.frax_adjustment",
            "true or false",
            "without quotes",
        ),
        (f"{TLS}port = 11112\n", "receiver.tls.port", "the receiver has this port", "another"),
        (f"{TLS}port = 8043\n", "http.port", "has this port for TLS", "another"),
        (
            f'{TLS}[[destinations]]\nname = "p"\nae_title = "P"\nhost = "localhost"\nport = 2762',
            "destinations[0].port",
            "receiver of this node itself",
            "host and port of the PACS",
        ),
        (
            '[receiver]\ncallers = [{ ae_title = "A", host = "*", certificate = "a.example.org" }]',
            "receiver.callers[0].certificate",
            "no port for TLS",
            "Add [receiver.tls]",
        ),
        (
            '[receiver]\ncallers = [{ ae_title = "A", host = "*", port = 104, port_tls = true }]',
            "receiver.callers[0].port_tls",
            "need a port, and the certificate",
            "Add what is missing",
        ),
        (
            f'[receiver]\ncallers = [{{ ae_title = "A", host = "*", port_tls = true }}]\n{TLS}',
            "receiver.callers[0].port_tls",
            "need a port, and the certificate",
            "Add what is missing",
        ),
        (DESTINATION.replace('"pacs"', '"the pacs"'), "destinations[0].name", "letters, digits", '"pacs-2"'),
        ('[notify]\nwebhook = "hooks.example.org"', "notify.webhook", "begins with http", "token_file"),
        (
            f'{POSTGRESQL}password_file = "absent"',
            "database",
            "absent cannot be read (No such file or directory)",
            "Create it",
        ),
        (f'{POSTGRESQL}password_file = "/dev/null"', "database", "/dev/null is empty", "Write the password"),
        ("[http]\nport = 11112", "http.port", "the receiver has this port", "another"),
        ("[[scanners]]\nlinear = true", "scanners[0]", "every scanner", "at least one"),
        (
            '[[scanners]]\nmodel = "m"\npixel_spacing_mm = [0, 1]',
            "scanners[0].pixel_spacing_mm[0]",
            "greater",
            "",
        ),
        ("[receiver]\nport = [104]", "receiver.port", "a whole number", "digits"),
        ("[http]\nport = { port = 1 }", "http.port", "a whole number", "digits"),
        ("[archive]\npath = 3", "archive.path", "a text is needed", "quotes"),
        (
            f'{POSTGRESQL.replace("node@", "")}password_file = "x"',
            "database",
            "a user and no password",
            "user@",
        ),
        (
            f'{POSTGRESQL.replace("@", ":p@")}password_file = "x"',
            "database",
            "a user and no password",
            "user@",
        ),
        (
            '[database]\nurl = "sqlite:///node@here.db"\npassword_file = "x"',
            "database",
            "a user and no password",
            "user@",
        ),
        ("node = 3", "node", "a table is needed", "[node]"),
        ("[node", "", "not TOML", "line"),
    ],
)
def test_each_mistake_names_key_problem_and_remedy(
    tmp_path: Path, text: str, key: str, problem: str, remedy: str
) -> None:
    (mistake,) = mistakes_of(tmp_path, text)
    assert mistake.key == key
    assert problem in mistake.problem
    assert remedy in mistake.remedy


def test_a_value_of_a_wrong_kind_is_a_mistake_of_its_key(tmp_path: Path) -> None:
    """A list of a list, and a table, where neither belongs: two ports were answered with a traceback."""
    sections = {name: section_of(field.annotation) for name, field in Config.model_fields.items()}
    for name, section in sections.items():
        assert section is not None
        for own, field in section.model_fields.items():
            key = field.alias or own
            head = f"[[{name}]]" if get_args(Config.model_fields[name].annotation) else f"[{name}]"
            for value in ("[[1]]", "{ a = 1 }", "nan"):
                found = mistakes_of(tmp_path, f"{head}\n{key} = {value}")
                here = [each for each in found if re.search(rf"(^|[.\]]){key}\b", each.key)]
                assert here, f"{name}.{key} = {value}: {found}"
                assert not any("class" in each.problem for each in here), here


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    mistakes = mistakes_of(
        tmp_path,
        '[node]\nae_title = "SEVENTEEN_LETTERS"\n[receiver]\nprot = 1\nport = 99999\n'
        + DESTINATION
        + "commitment = 2\n"
        + DESTINATION,
    )
    assert {m.key for m in mistakes} == {
        "node.ae_title",
        "receiver.prot",
        "receiver.port",
        "destinations[0].commitment",
        "destinations[1].name",
    }
    assert all(m.problem and m.remedy for m in mistakes)


def test_value_is_shown_and_a_password_is_not(tmp_path: Path) -> None:
    (shown,) = mistakes_of(tmp_path, "[receiver]\nport = 99999")
    assert shown.value == "99999"
    (url,) = mistakes_of(tmp_path, '[database]\nurl = "postgresql://u:canary@h/d"')
    assert "canary" not in str(url)
    (unknown,) = mistakes_of(tmp_path, '[database]\npassword = "canary"')
    assert "canary" not in str(unknown)


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff[node]\r\nae_title = "OURS"\r\n')
    assert config.load(path).node.ae_title == "OURS"


def test_one_system_may_get_different_kinds_under_two_names(tmp_path: Path) -> None:
    parts = [
        f'{DESTINATION.replace(chr(34) + "pacs" + chr(34), chr(34) + kind + chr(34))}send = ["{kind}"]\n'
        for kind in ("sr", "pdf")
    ]
    assert len(config.load(write(tmp_path, "".join(parts))).destinations) == 2


def test_two_systems_may_have_one_ae_title(tmp_path: Path) -> None:
    """Each site of a hospital has its own "PACS"."""
    other = DESTINATION.replace('"pacs"', '"second"')
    elsewhere = (other.replace("192.0.2.20", "192.0.2.21"), f"{other}port = 11113\n")
    for second in elsewhere:
        assert len(config.load(write(tmp_path, DESTINATION + second)).destinations) == 2


@pytest.mark.parametrize("key", ["manufacturer", "model", "serial"])
def test_one_word_of_its_header_names_a_scanner(tmp_path: Path, key: str) -> None:
    loaded = config.load(write(tmp_path, f'[[scanners]]\n{key} = "X"\nlinear = true'))
    assert [(getattr(each, key), each.linear) for each in loaded.scanners] == [("X", True)]


def test_a_file_that_is_not_utf_8_says_so(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"caf\xe9")
    (password,) = mistakes_of(tmp_path, f'{POSTGRESQL}password_file = "secret"')
    assert "secret cannot be read (it is not UTF-8 text)" in password.problem
    (tmp_path / "latin.toml").write_bytes(b'[site]\nname = "caf\xe9"')
    with pytest.raises(InvalidConfiguration, match=r"not UTF-8 text(.|\n)*Save it as UTF-8"):
        config.load(tmp_path / "latin.toml")


def test_with_only_tls_the_other_port_is_free_for_others(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, f"{TLS}only = true\n[http]\nport = 11112"))
    assert loaded.http.port == 11112


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"does not exist.*tbsnode init"):
        config.load(tmp_path / "none.toml")
    with pytest.raises(InvalidConfiguration, match=r"No configuration was found(.|\n)*tbsnode init"):
        config.load()


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.find() is None
    here = write(tmp_path, "")
    assert config.find() == here
    monkeypatch.setenv("TBSNODE_CONFIG", str(tmp_path / "variable.toml"))
    assert config.find() == tmp_path / "variable.toml"
    assert config.find(tmp_path / "option.toml") == tmp_path / "option.toml"


@pytest.mark.parametrize("closed", ["here", "system"])
def test_a_folder_that_is_closed_to_the_account(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -u ACCOUNT tbsnode check` from the home of root: what is looked for there is not there."""
    here, system = Path("tbsnode.toml"), tmp_path / "etc" / "tbsnode.toml"
    monkeypatch.setattr(loading, "SEARCH_PATHS", (here, system))
    system.parent.mkdir()
    write(system.parent, "")
    is_file, denied = Path.is_file, here if closed == "here" else system

    def looked(self: Path) -> bool:
        if self == denied:
            raise PermissionError(13, "Permission denied", str(self))
        return is_file(self)

    monkeypatch.setattr(Path, "is_file", looked)
    assert config.find() == system  # reading it says why it cannot be read


def test_paths_are_resolved_against_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    loaded = config.load(write(folder, ""))
    assert loaded.node.state == folder / "state"
    assert loaded.archive.path == folder / "state" / "archive"
    assert loaded.database.url == f"sqlite:///{folder}/state/tbsnode.db"
    absolute = config.load(
        write(folder, '[archive]\npath = "/srv/a"\n[database]\nurl = "sqlite:////srv/t.db"')
    )
    assert absolute.archive.path == Path("/srv/a")
    assert absolute.database.url == "sqlite:////srv/t.db"


def test_a_home_folder_is_found_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/node")
    loaded = config.load(write(tmp_path, '[node]\nstate = "~/s"\n[database]\nurl = "sqlite:///~/s/t.db"'))
    assert loaded.node.state == Path("/srv/node/s")
    assert loaded.database.url == "sqlite:////srv/node/s/t.db"


def test_a_file_in_a_home_folder_that_is_not_known_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBSNODE_CONFIG", "~nobody-here/tbsnode.toml")
    with pytest.raises(InvalidConfiguration, match=r"nobody-here(.|\n)*does not exist"):
        config.load()


def test_password_comes_from_its_file_and_is_not_in_the_repr(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss/canary\n", encoding="utf-8")
    text = '[database]\nurl = "postgresql+psycopg://u@h:5433/d"\npassword_file = "secret"'
    loaded = config.load(write(tmp_path, text))
    assert loaded.database.url == "postgresql+psycopg://u:p%40ss%2Fcanary@h:5433/d"
    assert "canary" not in repr(loaded)


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        ("TBSNODE__RECEIVER__PORT", "104", lambda c: c.receiver.port == 104),
        ("TBSNODE__NODE__AE_TITLE", "123", lambda c: c.node.ae_title == "123"),
        ("TBSNODE__NODE__AE_TITLE", '"QUOTED"', lambda c: c.node.ae_title == "QUOTED"),
        ("TBSNODE__NODE__MODE", "shadow", lambda c: c.node.mode == "shadow"),
        ("TBSNODE__LOGGING__JSON", "true", lambda c: c.logging.as_json is True),
        ("TBSNODE__COMPLETION__QUIET_S", "1.5", lambda c: c.completion.quiet_s == 1.5),
        ("TBSNODE__SELECTION__ORDER_CODES", '["A", "B"]', lambda c: c.selection.order_codes == ("A", "B")),
        ("TBSNODE__ARCHIVE__PATH", "/srv/archive", lambda c: c.archive.path == Path("/srv/archive")),
        (
            "TBSNODE__RECEIVER__CALLERS",
            '[{ ae_title = "A", host = "*" }]',
            lambda c: c.receiver.callers[0].host == "*",
        ),
        (
            "TBSNODE__DESTINATIONS",
            '[{"name": "p", "ae_title": "P", "host": "h"}]',
            lambda c: c.destinations[0].port == 104,
        ),
    ],
)
def test_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, read: Any
) -> None:
    monkeypatch.setenv(variable, text)
    assert read(config.load(write(tmp_path, '[node]\nae_title = "FILE"\n[receiver]\nport = 4242')))


def test_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBSNODE__RECEIVER__PROT", "1")
    ours, written = mistakes_of(tmp_path, "[receiver]\nport = 0")
    if ours.key != "receiver.prot":
        ours, written = written, ours
    assert ours.key == "receiver.prot"
    assert "$TBSNODE__RECEIVER__PROT" in ours.problem
    assert "$" not in written.problem, "that one is in the file"


def test_a_variable_does_not_hide_a_mistake_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBSNODE__NODE__AE_TITLE", "ELSE")
    (mistake,) = mistakes_of(tmp_path, "node = 3")
    assert mistake.key == "node"


@pytest.mark.parametrize(
    ("variable", "key"),
    [("TBSNODE__RECIEVER__PORT", "reciever"), ("TBSNODE__DESTINATIONS__PACS__PORT", "destinations")],
)
def test_a_variable_of_no_key_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, key: str
) -> None:
    monkeypatch.setenv(variable, "104")
    (mistake,) = mistakes_of(tmp_path, DESTINATION)
    assert mistake.key == key


def test_everything_is_frozen(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, ""))
    with pytest.raises(ValidationError):
        loaded.receiver.port = 1


def test_caller_may_be_network_name_or_anybody(tmp_path: Path) -> None:
    for host in ("192.0.2.10", "2001:db8::/32", "192.0.2.0/24", "dxa-1.example.org", "*"):
        assert config.load(write(tmp_path, caller(host))).receiver.callers[0].host == host


def section_of(annotation: object) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def compare(model: type[BaseModel], table: dict[str, Any], text: str, trail: str) -> None:
    for name, field in model.model_fields.items():
        key = field.alias or name
        section = section_of(field.annotation)
        written = table.get(key)
        if key in ("password_file", "reference_file", "token_file"):
            assert f"# {key} = " in text
            continue
        if key in ("certificate", "port_tls") and trail == "receiver.callers.":  # nothing without TLS
            assert re.search(rf"^ +# \{{ ae_title = .* {key} = ", text, re.MULTILINE)
            continue
        if key == "tls":  # two ways to write a table that is optional
            assert section is not None
            for own in section.model_fields:
                assert re.search(rf"^# (tls = .*)?\b{own} = ", text, re.MULTILINE), f"{trail}tls.{own}"
            continue
        assert written is not None, f"{trail}{key} is not in the example"
        if section is not None:
            rows = written if isinstance(written, list) else [written]
            merged = {k: v for row in rows for k, v in row.items()}
            compare(section, merged, text, f"{trail}{key}.")
        elif not field.is_required() and trail not in (
            "scanners.",
            "receiver.callers.",
            "interpretation.reviewers.",
        ):
            default = field.default
            default = list(default) if isinstance(default, tuple) else default
            assert written == (str(default) if isinstance(default, Path) else default), f"{trail}{key}"


def test_example_has_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    compare(Config, tomllib.loads(text), text, "")


def test_example_loads_and_each_key_has_a_sentence() -> None:
    loaded = config.load(EXAMPLE)
    assert loaded.destinations[0].name == "pacs"
    assert loaded.receiver.callers[1].quiet_s == 60
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    comments = sum(line.lstrip().startswith("#") for line in lines)
    assert comments > 30
