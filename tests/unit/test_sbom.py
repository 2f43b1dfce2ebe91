"""The bill of materials names what is installed, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sbom"], capture_output=True, text=True, timeout=60, check=True
    )
    return dict(json.loads(done.stdout))


def test_it_is_cyclonedx_with_tbsnode_at_its_root(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "tbsnode"
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@\S+", each["purl"]) for each in bill["components"])


def test_every_dependency_of_the_project_is_in_it(bill: dict[str, Any]) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^  "([A-Za-z0-9_-]+)', text[text.index("dependencies = [") :].split("]\n")[0], re.M)
    assert len(wanted) > 15
    named = {re.sub(r"[-_.]+", "-", each["name"]).lower() for each in bill["components"]}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} <= named


def test_what_it_depends_on_leads_to_components(bill: dict[str, Any]) -> None:
    known = {each["bom-ref"] for each in (*bill["components"], bill["metadata"]["component"])}
    assert {each["ref"] for each in bill["dependencies"]} == known
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} <= known
    root = bill["metadata"]["component"]["bom-ref"]
    (own,) = [each for each in bill["dependencies"] if each["ref"] == root]
    assert any(ref.startswith("pkg:pypi/pydicom@") for ref in own["dependsOn"])


def test_nearly_everything_says_its_license(bill: dict[str, Any]) -> None:
    without = [each["name"] for each in bill["components"] if not each.get("licenses")]
    assert len(without) < len(bill["components"]) / 5, without
