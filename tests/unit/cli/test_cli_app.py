"""The application: help, version, light imports, errors to texts and exit codes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tbsnode import __version__, errors
from tbsnode.cli import Commands, app
from tbsnode.reasons import Code, Finding

HEAVY = ("sqlalchemy", "pynetdicom", "pydicom", "dbos", "skimage", "scipy", "numpy", "reportlab", "pydantic")


def commands(group: Any, trail: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*trail, name))
        yield (*trail, name), command


ALL = dict(commands(typer.main.get_command(app)))


def test_the_commands_of_the_contract_exist() -> None:
    assert {" ".join(name) for name in ALL} >= {
        *("init", "check", "serve", "demo", "analyze", "conformance"),
        *("study import", "study list", "study show", "study trace", "study ready", "study reprocess"),
        *("study resend", "study resolve", "queue list", "queue count", "queue retry", "queue cancel"),
        *("queue pause", "queue resume", "peer list", "peer echo", "db upgrade", "db current"),
    }


@pytest.mark.parametrize("name", list(ALL), ids=" ".join)
def test_every_command_and_every_option_has_help(name: tuple[str, ...]) -> None:
    command = ALL[name]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "hidden", False) or getattr(parameter, "help", None), parameter.name
    result = CliRunner().invoke(app, [*name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage:")


@pytest.mark.parametrize("name", [name for name in ALL if name[-1] in ("list", "show", "count", "current")])
def test_every_listing_has_json(name: tuple[str, ...]) -> None:
    assert any("--json" in getattr(parameter, "opts", ()) for parameter in ALL[name].params)


def test_all_but_three_commands_take_a_configuration() -> None:
    without = {
        " ".join(name)
        for name, command in ALL.items()
        if not hasattr(command, "commands")
        and not any("--config" in getattr(parameter, "opts", ()) for parameter in command.params)
    }
    assert without == {"init", "demo"}


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom tbsnode.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tbsnode", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tbsnode {__version__}\n"


def test_an_unknown_command_is_a_usage_error(run: Any) -> None:
    assert run("nonsense").exit_code == 2


def raising(error: BaseException) -> Any:
    failing = typer.Typer(cls=Commands)

    @failing.command("first")
    def first() -> None:
        raise error

    @failing.command("second")
    def second() -> None:
        pass

    return CliRunner().invoke(failing, ["first"])


def every(kind: type[errors.TbsNodeError]) -> Iterator[type[errors.TbsNodeError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from every(below)


CODES = {
    errors.ConfigError: 10,
    errors.InstanceError: 20,
    errors.AnalysisError: 30,
    errors.CalibrationError: 30,
    errors.ResourceError: 40,
    errors.PeerError: 50,
    errors.NotFound: 2,
    errors.CorrectionError: 2,
    errors.ReviewRefused: 2,
    errors.InvalidClinicalFile: 20,
    errors.TbsNodeError: 1,
}


@pytest.mark.parametrize("kind", tuple(every(errors.TbsNodeError)))
def test_each_error_class_has_its_exit_code_and_text(kind: type[errors.TbsNodeError]) -> None:
    error = kind(Finding(Code.NO_TEXTURE)) if issubclass(kind, errors.AnalysisError) else kind()
    result = raising(error)
    assert result.exit_code == next(code for family, code in CODES.items() if issubclass(kind, family))
    assert result.stderr.startswith(f"Error: {error.message}")
    assert result.stdout == ""


def test_the_remedy_follows_the_message() -> None:
    result = raising(errors.StorageFull("The disk is full.", remedy="Free disk space."))
    assert result.stderr == "Error: The disk is full. Free disk space.\n"


def test_the_operating_system_is_a_resource() -> None:
    result = raising(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "out.csv"))
    assert result.exit_code == 40
    assert "out.csv: Permission denied" in result.stderr


def test_ctrl_c_ends_with_130() -> None:
    result = raising(KeyboardInterrupt())
    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"


PROGRAM = """
import sys
from tbsnode.cli import db, main
from tbsnode.cli import options
def load(config):
    raise KeyError("Canary^Zoe")
options.load = load
sys.argv = ["tbsnode", "db", "current"]
main()
"""


@pytest.mark.parametrize("wanted", [False, True])
def test_a_fault_of_ours_shows_no_value_and_a_traceback_only_when_wanted(wanted: bool) -> None:
    environment = {**os.environ, "TBSNODE_TRACEBACK": "1"} if wanted else None
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert ("Traceback" in done.stderr) is wanted
    assert ("Canary" in done.stderr) is wanted


def test_a_reader_that_stops_reading_is_no_error(site_config: Any) -> None:
    command = (
        f"{sys.executable} -m tbsnode conformance --config {site_config} | head -1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
