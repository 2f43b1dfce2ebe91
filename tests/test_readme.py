"""The manual and the code say the same. ``python -m tests.test_readme`` rewrites its generated tables."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from tbsnode import errors
from tbsnode.cli import app
from tbsnode.config import Config
from tbsnode.dicom import acquisition, codes
from tbsnode.model import DeliveryState, InputClass, StudyState
from tbsnode.reasons import TABLE, Code, Finding
from tbsnode.report import table
from tbsnode.text import remedy, sentence

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FILES = ROOT / "docs" / "files.md"
REASONS = ROOT / "docs" / "reasons.md"
PACKAGE = ROOT / "tbsnode"
LONGEST = 600
EFFECT = {
    "fail": "no number",
    "hold": "nothing leaves",
    "exclude": "level left out",
    "warn": "doubt",
    "info": "fact",
}


def commands(group: Any, trail: str = "tbsnode") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{trail} {name}")
        else:
            yield f"{trail} {name}", command


def rows(*lines: tuple[str, ...]) -> str:
    header, *body = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ("---",) * len(header), *body))


# ---- what is generated --------------------------------------------------------------------------


def command_table() -> str:
    found = commands(typer.main.get_command(app))
    told = ((f"`{_usage(name, command)}`", _first_paragraph(command.help)) for name, command in found)
    return rows(("Command", "What it does"), *told)


def _usage(name: str, command: Any) -> str:
    words = [name]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.append(parameter.metavar or parameter.name.upper())
        elif not parameter.hidden and not {"--config", "--json", "--help"} & set(parameter.opts):
            value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
            words.append(
                f"[{parameter.opts[0]}{value}]" if not parameter.required else f"{parameter.opts[0]}{value}"
            )
    return " ".join(words).replace("|", "\\|")


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split())


def reason_table() -> str:
    lines = []
    for code in Code:
        effect = EFFECT[TABLE[code].severity.value]
        words = (f"`{code.value}`", effect, sentence(Finding(code)), remedy(code))
        lines.append(tuple(word.replace("|", "\\|") for word in words))
    short = "; ".join(
        f"`{coded}` for `{code.value}`" for code in Code if (coded := codes.of_code(code).value) != code
    )
    reserved = ", ".join(f"`{code.value}`" for code in Code if not _is_raised(code))
    notes = f"\n\nIn the SR a code has at most 16 characters: {short}."
    notes += f"\n\nReserved, not raised in this version: {reserved}." if reserved else ""
    return rows(("Code", "Effect", "What it says", "Who acts, and how"), *lines) + notes


def _is_raised(code: Code) -> bool:
    apart = ("reasons.py", "text/english_findings.py", "text/english_review_findings.py")
    modules = (path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).as_posix() not in apart)
    return any(re.search(rf"\bCode\.{code.name}\b", path.read_text(encoding="utf-8")) for path in modules)


def file_list() -> str:
    lines, empty = [], []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = f"`{path.relative_to(ROOT).as_posix()}`"
        first = path.read_text(encoding="utf-8").split('"""')[1].strip().splitlines()[0]
        if first == "See the modules.":
            empty.append(name)
        else:
            lines.append(f"- {name} {first.replace('``', '`').rstrip('.')}.")
    return "\n".join([*lines, f"- {', '.join(empty)} are empty: import the modules."])


GENERATED = {
    "commands": (README, command_table),
    "reasons": (REASONS, reason_table),
    "files": (FILES, file_list),
}


def part(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


def generated(name: str) -> str:
    page = GENERATED[name][0]
    found = part(name).search(page.read_text(encoding="utf-8"))
    assert found, f"{page.name} has no part generated: {name}"
    return found[2]


@pytest.mark.parametrize("name", ["commands", "reasons"])
def test_a_generated_table_is_that_of_the_code(name: str) -> None:
    assert generated(name) == GENERATED[name][1](), "run: python -m tests.test_readme"


def test_every_code_and_every_command_is_told() -> None:
    told = generated("reasons")
    assert [code for code in Code if f"`{code.value}`" not in told] == []
    lines = generated("commands").splitlines()
    for name, _ in commands(typer.main.get_command(app)):
        assert sum(re.match(rf"\| `{name}[ `]", line) is not None for line in lines) == 1, name


def test_every_file_has_one_line() -> None:
    listed = re.findall(r"`(tbsnode/[\w/]+\.py)`", generated("files"))
    assert set(listed) == {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    assert len(set(listed)) == len(listed)


# ---- what is written by hand --------------------------------------------------------------------


def text() -> str:
    return README.read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return what stands under a heading, until the next of its depth."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text(), re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {title}"
    return found[2]


def test_it_is_not_too_long() -> None:
    assert len(text().splitlines()) <= LONGEST


def test_it_says_first_what_it_is_not() -> None:
    opening = text()[: text().index("## Install")]
    for words in ("research use", "not the vendor's TBS", "not cleared", "no TBS value and no category"):
        assert words in " ".join(opening.split()), words
    assert opening.index("What it is not") < opening.index("./scripts/demo") < opening.index("./scripts/test")


def keys(model: type[BaseModel], trail: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        kinds = (field.annotation, *get_args(field.annotation))
        below = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if below is None:
            yield f"{trail}{key}"
        else:
            yield from keys(below, f"{key}.")


@pytest.mark.parametrize("key", tuple(keys(Config)))
def test_every_setting_is_told(key: str) -> None:
    table_, _, name = key.rpartition(".")
    lines = [line for line in section("Configuration").splitlines() if re.match(rf"\| `\[*{table_}\b", line)]
    assert any(f"`{name}`" in line or f"`{name} = " in line for line in lines), key


@pytest.mark.parametrize("state", [*StudyState, *DeliveryState, *InputClass])
def test_every_state_and_class_is_told(state: str) -> None:
    assert f"`{state}`" in text()


def test_every_column_and_key_of_a_result_is_told() -> None:
    told = section("Fields of a result")
    plain = {re.sub(r"^L\d_", "L1_", column) for column in table.CSV_COLUMNS}
    assert [column for column in sorted(plain) if f"`{column}`" not in told] == []


def test_exit_codes_are_those_of_the_errors() -> None:
    told = set(re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    used = {str(kind.exit_code) for kind in kinds if issubclass(kind, errors.TbsNodeError)}
    assert told == used | {"0", "130"}


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"(?<![\w/.])((?:tests|scripts|config|migrations|\.ci)/[\w./-]*\w)", text()))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_command_that_it_shows_exists() -> None:
    known = dict(commands(typer.main.get_command(app)))
    for line in re.findall(r"^\$ (tbsnode .*)$", text(), re.MULTILINE):
        name = next((each for each in known if f"{line} ".startswith(f"{each} ")), None)
        assert name or line in ("tbsnode --help", "tbsnode --version"), line
        options = {option for parameter in known[name].params for option in parameter.opts} if name else set()
        assert set(re.findall(r"(?<= )--?[a-z][\w-]*", line)) <= options | {"--help", "--version"}, line


def test_its_python_runs_and_gives_what_it_shows(tmp_path: Path) -> None:
    """The numbers may move in the third decimal with the segmentation; the form may not."""
    found = re.search(r"```python\n(.*?)```\n+```text\n(.*?)```", section("In Python"), re.DOTALL)
    assert found
    program, shown = found.groups()
    assert len(program.strip().splitlines()) <= 10
    patient = acquisition.PatientTags(patient_id="DEMO-1")
    (instance,) = acquisition.study("raw", patient=patient, seed=1, study_date="20261101")
    (tmp_path / "spine.dcm").write_bytes(instance)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    number = re.compile(r"\d+\.\d+")
    assert number.sub("#", done.stdout) == number.sub("#", shown)
    given, expected = ([float(n) for n in number.findall(part_)] for part_ in (done.stdout, shown))
    assert given == pytest.approx(expected, abs=0.02)


def rewrite() -> None:
    """Put what is generated into the manual and its pages."""
    for name, (page, make) in GENERATED.items():
        made, words = make(), page.read_text(encoding="utf-8")
        words = part(name).sub(lambda found, made=made: found[1] + made + found[3], words)  # type: ignore[misc]
        page.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
