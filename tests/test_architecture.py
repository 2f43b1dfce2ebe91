"""The rules that a command can judge; `lint-imports` (scripts/check) judges the layers.

Each check takes a file's name and text and returns what is wrong with it, so that the examples at the
end of this module can prove that it is able to fail.
"""

from __future__ import annotations

import ast
import graphlib
import inspect
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

import tbsnode
from tbsnode import errors, reasons
from tbsnode.dicom import codes
from tbsnode.net import status

ROOT = Path(__file__).parents[1]
PACKAGE = Path(tbsnode.__file__).parent
FILE_LINES = 400
FUNCTION_LINES = 40
PARAMETERS = 6

Check = Callable[[str, str], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> dict[str, str]:
    """Return the text of every module of the package, by its path below the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def functions(text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# ---- sizes and names ----------------------------------------------------------------------------


def file_is_short(name: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{lines} lines"] if lines > FILE_LINES else []


def functions_are_short(name: str, text: str) -> list[str]:
    return [f"{f.name}: {length} lines" for f in functions(text) if (length := _length(f)) > FUNCTION_LINES]


def _length(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def functions_take_few_parameters(name: str, text: str) -> list[str]:
    """Keyword-only ones count too, as in ruff's PLR0913; `self` does not."""
    wrong = []
    for function in functions(text):
        all_of_them = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        number = sum(argument.arg not in ("self", "cls") for argument in all_of_them)
        if number > PARAMETERS:
            wrong.append(f"{function.name}: {number} parameters")
    return wrong


def name_says_what_it_owns(name: str, text: str) -> list[str]:
    words = set(re.split(r"[/_.]", name))
    vague = {"utils", "util", "helpers", "helper", "common", "base", "manager", "services", "misc"}
    return [f"the name says {word}" for word in sorted(words & vague)]


def module_says_what_it_owns(name: str, text: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse(text))
    return [] if docstring else ["no module docstring"]


# ---- habits -------------------------------------------------------------------------------------


def swallows_nothing(name: str, text: str) -> list[str]:
    """Whatever catches everything must raise it again; the one exception is counted apart."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
        last = node.body[-1]
        if broad and not (isinstance(last, ast.Raise) and last.exc is None):
            wrong.append(f"line {node.lineno} catches everything")
    return wrong


def prints_nothing(name: str, text: str) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return [f"line {call.lineno} prints" for call in calls if ast.unparse(call.func) == "print"]


PURE = ("tbs/", "report/", "dicom/")  # time and version are arguments there
CLOCKS_AND_DICE = re.compile(
    r"\btime\.(time|monotonic|perf_counter|localtime|gmtime|strftime)\b|\b(datetime|date)\.(now|utcnow|today)\b"
    r"|\brandom\b|\bsecrets\b|\buuid[14]\b|\burandom\b|\bgenerate_uid\b"
)


def knows_no_clock_and_no_dice(name: str, text: str) -> list[str]:
    if not name.startswith(PURE):
        return []
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute | ast.Name | ast.alias):
            found = CLOCKS_AND_DICE.search(ast.unparse(node))
            if found:
                wrong.append(f"line {node.lineno}: {found[0]}")
    return wrong


def imports(name: str, text: str) -> list[str]:
    """Return what a module of the package imports from it, wherever in the file; not for types only."""
    tree = ast.parse(text)
    only_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for child in ast.walk(statement)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("tbsnode")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tbsnode":
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def imports_no_name_of_its_own_package(name: str, text: str) -> list[str]:
    """A name from the `__init__` above would make a ring; a sibling module is fine."""
    package = ".".join(("tbsnode", *name.split("/")[:-1]))
    if package == "tbsnode" or name.endswith("__init__.py"):
        return []
    folder = PACKAGE / Path(name).parent
    own = [full.rpartition(".") for full in imports(name, text)]
    return [
        f"imports {last} from its own package"
        for module, _, last in own
        if module == package and not (folder / f"{last}.py").is_file() and not (folder / last).is_dir()
    ]


CHECKS: tuple[Check, ...] = (
    file_is_short,
    functions_are_short,
    functions_take_few_parameters,
    name_says_what_it_owns,
    module_says_what_it_owns,
    prints_nothing,
    knows_no_clock_and_no_dice,
    imports_no_name_of_its_own_package,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_module_keeps_the_rule(check: Check) -> None:
    wrong = {name: found for name, text in sources().items() if (found := check(name, text))}
    assert not wrong


def test_exactly_one_place_catches_everything() -> None:
    wrong = {name: found for name, text in sources().items() if (found := swallows_nothing(name, text))}
    assert list(wrong) == ["engine.py"]
    assert len(wrong["engine.py"]) == 1


# ---- rings --------------------------------------------------------------------------------------


def ring(modules: dict[str, str]) -> list[str]:
    """Return modules that import each other in a ring, lazily or not; empty where there is none."""
    names = {_dotted(name): name for name in modules}
    graph: dict[str, set[str]] = {}
    for dotted, name in names.items():
        wanted = (_module_of(full, names) for full in imports(name, modules[name]))
        graph[dotted] = {module for module in wanted if module not in (None, dotted, "tbsnode")}  # type: ignore[misc]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def _dotted(name: str) -> str:
    return ".".join(("tbsnode", *name.removesuffix(".py").split("/"))).removesuffix(".__init__")


def _module_of(full: str, names: Iterable[str]) -> str | None:
    return next((each for each in (full, full.rpartition(".")[0]) if each in names), None)


def test_no_modules_import_each_other() -> None:
    assert ring(sources()) == []
    assert imports("__init__.py", sources()["__init__.py"]) == []  # so that its version can be imported


# ---- errors and reasons -------------------------------------------------------------------------


def drawn_tree(drawing: str) -> dict[str, tuple[str | None, bool]]:
    """Return parent and retryability of each error of the drawing, by name."""
    trail: list[tuple[int, str]] = []
    found: dict[str, tuple[str | None, bool]] = {}
    for line in drawing.splitlines():
        entry = re.match(r"( *)[*+-] (\w+)(.*)", line)
        if entry is None:
            continue
        depth, name = len(entry[1]), entry[2]
        trail = [(d, n) for d, n in trail if d < depth]
        found[name] = (trail[-1][1] if trail else None, entry[3].rstrip().endswith("retryable"))
        trail.append((depth, name))
    return found


def error_classes() -> list[type[errors.TbsNodeError]]:
    kinds = (kind for _, kind in inspect.getmembers(errors, inspect.isclass))
    return [kind for kind in kinds if issubclass(kind, errors.TbsNodeError)]


def test_the_drawing_of_the_errors_is_the_truth() -> None:
    classes = {
        kind.__name__: (kind.__base__.__name__ if kind is not errors.TbsNodeError else None, kind.retryable)  # type: ignore[union-attr]
        for kind in error_classes()
    }
    assert drawn_tree(errors.__doc__ or "") == classes


def test_a_wrong_drawing_would_be_seen() -> None:
    drawing = "* A\n  - B   somebody acts   retryable\n    + C\n  - D   retryable only sometimes"
    assert drawn_tree(drawing) == {"A": (None, False), "B": ("A", True), "C": ("B", False), "D": ("A", False)}


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_message_and_an_exit_code_of_its_branch(kind: type[errors.TbsNodeError]) -> None:
    assert (kind.__doc__ or "").strip().splitlines()[0].endswith(".")
    branch = kind.__mro__[max(0, kind.__mro__.index(errors.TbsNodeError) - 1)]
    assert kind.exit_code == branch.exit_code
    assert kind.exit_code in (1, 2, 10, 20, 30, 40, 50)


def test_what_intake_may_raise_has_an_answer_of_its_own_branch() -> None:
    for kind in error_classes():
        if issubclass(kind, errors.InstanceError | errors.ResourceError):
            assert any(each in status.ANSWERS for each in kind.__mro__[:2]), kind


def test_every_code_has_a_row_and_a_code_value_that_dicom_can_hold() -> None:
    assert set(reasons.TABLE) == set(reasons.Code)
    assert all(code.name == code.value for code in reasons.Code)
    coded = [codes.of_code(code).value for code in reasons.Code]
    assert max(map(len, coded)) <= 16  # VR SH
    assert len(set(coded)) == len(coded)


# ---- the repository -----------------------------------------------------------------------------

# What stands in brackets keeps this file from matching itself.
STRANGE = re.compile(
    r"pypi[.]|files[.]pythonhosted|test[.]pypi|conda[.]anaconda|devp[i]|artifactor[y]|index-ur[l]|trusted-hos[t]"
    r"|/wor[k]/|/tm[p]/|/hom[e]/|/roo[t]/|/User[s]/|[A-Z]:\\Users"
    r"|far[m]-|bash_job[s]|anthropi[c]|claud[e]|opena[i]|chatgp[t]|copilo[t]|co-authored-b[y]",
    re.IGNORECASE,
)


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("no repository here")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_file_speaks_of_the_place_it_was_written_at() -> None:
    wrong = []
    for path in tracked_files():
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        ):
            if found := STRANGE.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {found[0]}")
    assert not wrong


@pytest.mark.parametrize(
    "line",
    ["see https://py" + "pi.org/project/x", "open('/wo" + "rk/main')", "cd /tm" + "p/x", "far" + "m-7"],
)
def test_a_strange_line_would_be_seen(line: str) -> None:
    assert STRANGE.search(line)


# ---- the checks can fail ------------------------------------------------------------------------

BODY = "\n".join("    pass" for _ in range(FUNCTION_LINES + 1))
BAD: list[tuple[Check, str, str]] = [
    (file_is_short, "x.py", "x = 1\n" * (FILE_LINES + 1)),
    (functions_are_short, "x.py", f'def f():\n    """Do."""\n{BODY}\n'),
    (functions_take_few_parameters, "x.py", "def f(self, a, b, c, d, *, e, g, h): ..."),
    (name_says_what_it_owns, "dicom/pixel_utils.py", ""),
    (name_says_what_it_owns, "common/pixels.py", ""),
    (module_says_what_it_owns, "x.py", "x = 1"),
    (swallows_nothing, "x.py", "try:\n    f()\nexcept Exception as error:\n    log(error)"),
    (swallows_nothing, "x.py", "try:\n    f()\nexcept:\n    pass"),
    (swallows_nothing, "x.py", "try:\n    f()\nexcept (OSError, BaseException):\n    g()"),
    (prints_nothing, "x.py", "print(1)"),
    (knows_no_clock_and_no_dice, "report/x.py", "def f():\n    return datetime.now(UTC)"),
    (knows_no_clock_and_no_dice, "tbs/x.py", "import random"),
    (knows_no_clock_and_no_dice, "tbs/x.py", "noise = np.random.default_rng().normal()"),
    (knows_no_clock_and_no_dice, "dicom/x.py", "from pydicom.uid import generate_uid"),
    (imports_no_name_of_its_own_package, "text/x.py", "from tbsnode.text import sentence"),
]
GOOD: list[tuple[Check, str, str]] = [
    (functions_are_short, "x.py", 'def f():\n    """Do.\n' + "\n" * FUNCTION_LINES + '    """\n    pass\n'),
    (functions_take_few_parameters, "x.py", "def f(self, a, b, c, d, *, e, g): ..."),
    (swallows_nothing, "x.py", "try:\n    f()\nexcept BaseException:\n    clean()\n    raise"),
    (knows_no_clock_and_no_dice, "net/x.py", "import time\ntime.time()"),
    (knows_no_clock_and_no_dice, "report/x.py", '"""At random."""\nrandomly = content_at.time'),
    (imports_no_name_of_its_own_package, "text/x.py", "from tbsnode.text import catalogue"),
]


@pytest.mark.parametrize(("check", "name", "text"), BAD)
def test_a_breach_is_seen(check: Check, name: str, text: str) -> None:
    assert check(name, text)


@pytest.mark.parametrize(("check", "name", "text"), GOOD)
def test_what_keeps_the_rule_is_left_alone(check: Check, name: str, text: str) -> None:
    assert check(name, text) == []


def test_a_ring_would_be_seen() -> None:
    lazily = "def f():\n    from tbsnode.dicom import a"
    assert ring({"dicom/__init__.py": "", "dicom/a.py": "from tbsnode.dicom import b", "dicom/b.py": lazily})
    assert not ring({"dicom/__init__.py": "", "dicom/a.py": "from tbsnode.dicom import b", "dicom/b.py": ""})
