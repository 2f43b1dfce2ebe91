"""What a notebook gets from `tbs`: every name there, documented, with an example that the suite runs."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tbsnode import tbs
from tbsnode.phantom import example


@pytest.mark.parametrize("name", tbs.__all__)
def test_every_name_is_documented_with_an_example(name: str) -> None:
    found = getattr(tbs, name)
    said = inspect.getdoc(found) or ""
    assert "Examples\n--------" in said
    assert doctest.DocTestParser().get_examples(said)
    assert f"`{name}`" in (tbs.__doc__ or ""), "the module's page names it"
    home = inspect.getsourcefile(inspect.unwrap(found))
    assert home is not None
    assert Path(home).parent == Path(tbs.__file__).parent


@pytest.mark.parametrize("name", [name for name in tbs.__all__ if inspect.isfunction(getattr(tbs, name))])
def test_every_function_tells_its_arguments(name: str) -> None:
    function = getattr(tbs, name)
    said = inspect.getdoc(function) or ""
    arguments = list(inspect.signature(function).parameters)
    if len(arguments) > 1:
        assert "Parameters\n----------" in said
    assert all(argument in said or len(arguments) == 1 for argument in arguments)


def test_editors_are_told_the_same_names() -> None:
    tree = ast.parse(Path(tbs.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname or alias.name: (str(node.module).rpartition(".")[2], alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(told) == sorted(tbs.__all__) == dir(tbs)
    for name, (module, there) in told.items():
        assert getattr(tbs, name) is getattr(__import__(f"tbsnode.tbs.{module}", fromlist=[there]), there)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tbs.nonsense  # type: ignore[attr-defined]


def test_the_package_alone_loads_no_library() -> None:
    program = (
        "import sys; from tbsnode import tbs; dir(tbs); print(sorted({'numpy','scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32, ">u2"])
def test_a_picture_of_any_type_gives_the_same_bits(kind: str) -> None:
    scanned = example.spine()
    whole = tbs.Picture(pixels=scanned.pixels.astype(np.float64), pixel_spacing_mm=scanned.pixel_spacing_mm)
    other = tbs.Picture(pixels=scanned.pixels.astype(kind), pixel_spacing_mm=scanned.pixel_spacing_mm)
    assert tbs.measure(other) == tbs.measure(whole)


def test_dark_bone_of_unsigned_pixels_is_found() -> None:
    """Unsigned pixels wrap around when they are turned into a negative."""
    scanned = example.spine()
    dark = (scanned.pixels.max() - scanned.pixels).astype(np.uint16)
    field = np.ones(dark.shape, dtype=np.bool_)
    found = tbs.segment(dark, field, scanned.pixel_spacing_mm)  # type: ignore[arg-type]
    assert found.inverted
    assert tbs.label(found).first == 0


@pytest.mark.parametrize("shape", [(5,), (2, 5, 5), (5, 5, 3)])
def test_one_picture_has_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"pixels have {len(shape)} dimensions"):
        tbs.Picture(pixels=np.zeros(shape), pixel_spacing_mm=(0.5, 0.5))
