"""The same picture gives the same bits in another process, on any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_MEASURE = """
import sys
from dataclasses import asdict
import numpy as np
from tbsnode.tbs.spine import Picture, measure
found = [
    measure(Picture(pixels=np.load(path), pixel_spacing_mm=spacing, stored_maximum=top))
    for path, spacing, top in ((sys.argv[1], (0.6, 0.6), 255.0), (sys.argv[2], (0.5, 0.5), 65535.0))
]
print(repr([asdict(one) for one in found]))  # repr of a float names exactly one float
"""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def python(threads: int, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | dict.fromkeys(_THREADS, str(threads)) | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from tbsnode.phantom.spine import Spine
    from tests import spines

    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / "coarse.npy", folder / "linear.npy"]
    for path, scanner in zip(paths, ("coarse", "linear"), strict=True):
        np.save(path, spines.picture(Spine(cobb_deg=10.0), scanner).pixels)
    return paths


def test_a_measurement_on_one_and_on_four_threads(pictures: list[Path]):
    one, four = (python(threads, "-c", _MEASURE, *pictures) for threads in (1, 4))
    assert "'standard_error': 0.0" in one
    assert "'score': 1." in one or "'score': 0." in one
    assert one == four


def test_files_analyzed_by_one_and_by_two_processes(tmp_path: Path):
    from tbsnode.dicom import acquisition

    for seed in (1, 2):
        patient = acquisition.PatientTags(patient_id=f"BITS-{seed}", name=f"Bits^{seed}")
        (part10,) = acquisition.study(
            "display", patient=patient, seed=seed, options=acquisition.Options(small=True)
        )
        (tmp_path / f"{seed}.dcm").write_bytes(part10)
    shown = [
        python(threads, "-m", "tbsnode", "analyze", tmp_path, "--json", "--jobs", jobs)
        for threads, jobs in ((1, 1), (4, 2))
    ]
    assert [one["status"] for one in json.loads(shown[0])["results"]] == ["scored", "scored"]
    assert json.loads(shown[0])["results"] == json.loads(shown[1])["results"]
