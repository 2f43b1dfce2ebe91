"""Loaded by every Python that has this folder on its path: kills it at a named line, or sets its clock.

Only `tests.faults` puts it there. ``TBSNODE_FAULT`` is ``module:function:before|after:marker``: the
process kills itself with -9 the first time that the function is reached, or left; the marker file
makes it once. ``TBSNODE_CLOCK`` is a file with seconds that are added to the wall clock.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def _kill_once(marker: str) -> None:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(function: Callable[..., Any], when: str, marker: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _kill_once(marker)
        result = function(*args, **kwargs)
        if when == "after":
            _kill_once(marker)
        return result

    return wrapper


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the one module as usual, and wraps its function when it has run."""

    def __init__(self, module: str, function: str, when: str, marker: str) -> None:
        self.module, self.function, self.when, self.marker = module, function, when, marker

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            *path, last = self.function.split(".")
            holder: Any = functools.reduce(getattr, path, module)
            setattr(holder, last, _wrapped(getattr(holder, last), self.when, self.marker))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _set_clock(file: Path) -> None:
    real = time.time
    looked_at, offset = -1.0, 0.0

    def now() -> float:
        nonlocal looked_at, offset
        if time.monotonic() - looked_at > 0.2:
            looked_at, offset = time.monotonic(), float(file.read_text())
        return real() + offset

    time.time = now


if "TBSNODE_FAULT" in os.environ:
    sys.meta_path.insert(0, _Finder(*os.environ["TBSNODE_FAULT"].split(":")))
if "TBSNODE_CLOCK" in os.environ:
    _set_clock(Path(os.environ["TBSNODE_CLOCK"]))
