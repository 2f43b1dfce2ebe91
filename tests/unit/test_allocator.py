"""Memory that was freed is used again instead of being asked for anew."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from tbsnode.pipeline import allocator

# Four arrays of 4 MB are made and dropped, thirty times, and the pages that the kernel gave are counted.
_DEMAND = """
import resource, sys
import numpy as np
from tbsnode.pipeline import allocator
if sys.argv[1] == "keep":
    assert allocator.keep_freed_memory()
def turn():
    return [np.ones(500_000) for _ in range(4)]
turn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    turn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(mode: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", _DEMAND, mode], text=True))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_arrays_get_the_pages_of_those_before():
    kept = pages("keep")
    assert kept < 1000
    assert pages("default") > 10 * kept


def test_a_library_without_the_setting_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert not allocator.keep_freed_memory()
