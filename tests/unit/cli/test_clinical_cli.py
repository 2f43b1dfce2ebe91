"""clinical import and show, as whoever wrote the file sees them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

HEAD = "patient_id,source,previous_fracture,fracture_sites,spine_bmd_g_cm2,spine_t_score"
GOOD = "CLI-1,referral letter,yes,wrist,0.912,-2.1"
TABLES = ("tbs_clinical", "tbs_event", "tbs_study")


@pytest.fixture
def config(run: Any, site_config: Path, instances: Path) -> Path:
    """A node that knows patient CLI-1."""
    assert run("study", "import", instances / "spine.dcm", "--config", site_config).exit_code == 0
    return site_config


def table(folder: Path, *lines: str) -> Path:
    path = folder / "declared.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def everything(config: Path) -> list[Any]:
    with closing(sqlite3.connect(config.parent / "state" / "tbsnode.db")) as connection:
        return [connection.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() for name in TABLES]


def test_import_and_show(run: Any, run_json: Any, config: Path, tmp_path: Path) -> None:
    path = table(tmp_path, HEAD, GOOD)
    before = everything(config)
    dry = run("clinical", "import", path, "--dry-run", "--config", config)
    assert dry.stdout.startswith("1 record would be imported: 1 new")
    assert everything(config) == before
    said = run("clinical", "import", path, "--config", config)
    assert said.exit_code == 0, said.stderr
    assert said.stdout.startswith("1 record: 1 new, 0 superseding older ones, 0 unchanged.")
    again = run_json("clinical", "import", path, "--config", config)
    assert (again["unchanged"], again["mistakes"]) == (1, [])
    (shown,) = run_json("clinical", "show", "--config", config)
    assert (shown["patient_id"], shown["present"], shown["state"]) == (
        "CLI-1",
        ["previous_fracture"],
        "active",
    )
    assert shown["densitometry"]["sites"][0]["t_score"] == -2.1
    printed = run("clinical", "show", "--patient", "CLI-1", "--config", config).stdout
    assert "previous fracture; fracture of wrist; L1-L4 BMD 0.912 T -2.1" in printed
    assert (
        run("clinical", "show", "--accession", "none", "--config", config).stdout == "Nothing is declared.\n"
    )


def test_a_wrong_file_is_told_whole_and_nothing_is_stored(
    run: Any, run_json: Any, config: Path, tmp_path: Path
) -> None:
    path = table(tmp_path, HEAD, GOOD, "CLI-1,Canary,yes,,912,", "CANARY-9,letter,,hip,,-2,5")
    before = everything(config)
    said = run("clinical", "import", path, "--config", config)
    assert said.exit_code == 20
    assert said.stdout == ""
    assert said.stderr.splitlines() == [
        "Error: The file of clinical data has mistakes: nothing of it is imported.",
        "  line 3, spine_bmd_g_cm2: is no areal density: it lies outside 0.1 to 3 g/cm2. "
        "Write grams a square centimeter; mg/cm2 divided by 1000.",
        "  line 3, patient_id: is stated twice: line 2 is about the same patient. Keep one of the two.",
        "  line 4, spine_t_score: The line has 7 cells, the header 6. "
        "Look for a decimal comma, or quote the text that holds a comma.",
    ]
    as_json = run("clinical", "import", path, "--json", "--config", config)
    assert as_json.exit_code == 20
    told = run_json("clinical", "import", path, "--config", config)
    assert told["records"] == 0
    assert [(one["line"], one["field"]) for one in told["mistakes"]] == [
        (3, "spine_bmd_g_cm2"),
        (3, "patient_id"),
        (4, "spine_t_score"),
    ]
    assert not any(word in said.stderr + as_json.stdout for word in ("Canary", "CANARY", "912,"))
    assert everything(config) == before


def test_a_file_that_is_not_there(run: Any, config: Path) -> None:
    assert run("clinical", "import", "nowhere.csv", "--config", config).exit_code == 2
