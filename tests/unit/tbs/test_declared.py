"""What a header declares of position and body."""

from __future__ import annotations

import pytest

from tbsnode.reasons import Code, Severity
from tbsnode.tbs import declared


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (("L", "F"), []),
        (("LA", "FP"), []),  # a little oblique; the main direction counts
        ((), []),
        (("L",), []),  # one direction says nothing
        (("R", "F"), ["MIRRORED"]),
        (("L", "H"), ["MIRRORED"]),
        (("R", "H"), ["MIRRORED"]),
        (("RA", "F"), ["MIRRORED"]),
        (("A", "F"), ["WRONG_VIEW"]),
        (("P", "F"), ["WRONG_VIEW"]),
        (("PL", "H"), ["WRONG_VIEW"]),
    ],
)
def test_position(orientation: tuple[str, ...], expected: list[str]) -> None:
    found = declared.position_findings(orientation)
    assert [finding.code.value for finding in found] == expected
    assert all(dict(finding.values)["detail"] == "\\".join(orientation) for finding in found)


def test_body() -> None:
    assert declared.body_findings(()) == ()
    (finding,) = declared.body_findings(("radiopharmaceutical",))
    assert (finding.code, finding.severity) == (Code.RECENT_CONTRAST, Severity.FAIL)


def test_another_part_of_the_body() -> None:
    assert declared.part_findings("") == ()
    (finding,) = declared.part_findings("HIP")
    assert (finding.code, finding.severity) == (Code.OTHER_BODY_PART, Severity.WARN)
    assert finding.values == (("detail", "HIP"),)
