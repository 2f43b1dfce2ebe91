"""What scripts/faults is told to do to a node is there to be done: the rows themselves take minutes."""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter

import pytest

from tests import faults


@pytest.mark.parametrize("border", faults.BORDERS.values(), ids=list(faults.BORDERS))
def test_the_border_of_a_kill_is_a_function(border: str) -> None:
    module, name, side = border.split(":")
    assert callable(attrgetter(name)(import_module(module)))
    assert side in ("before", "after")
