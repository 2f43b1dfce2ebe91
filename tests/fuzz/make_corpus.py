"""Write the corpus anew: one small file of every kind that the readers meet.

Run as ``python -m tests.fuzz.make_corpus``. What a run found and a test now holds is kept under
names that begin with ``found-``, and is not touched here.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tbsnode.dicom import measurement_report, scanner_headers
from tests import reported, sources

CORPUS = Path(__file__).parent / "corpus"
_COMMENTS = (
    '<?xml version="1.0"?><Results><Region name="L1-L4" BMD="0.912" Tscore="-2.1" Zscore="-0.4"/>'
    '<Region name="L2" BMD="0.950" Tscore="-1.9"/></Results>'
)
_TABLE = (
    ("Region", "Area[cm<sup>2</sup>]", "BMC[g]", "BMD[g/cm<sup><small>2</small></sup>]", "T -<br>Score"),
    ("L1", "13.26", "11.57", "0.873", "-0.5"),
    ("L2", "13.72", "12.94", "0.943", "-0.8"),
    ("L3", "14.81", "13.94", "0.941", "-1.3"),
    ("L4", "13.97", "13.40", "0.959", "-0.9"),
)  # fmt: skip


def _private(ds: Dataset) -> Dataset:
    lines = [f'ResultsTable[{i}][{j}] = "{c}";' for i, row in enumerate(_TABLE) for j, c in enumerate(row)]
    lines += ["ImageXPos = 2;", "ImageYPos=3;", "ImageXSize = 14;", "ImageYSize = 18;"]
    scanner_headers.add_private_results(ds, "\r\n".join(lines))
    return ds


def _page() -> Dataset:
    ds = sources.spine(SOPClassUID=sources.SC, ConversionType="WSD", ViewPosition=None)
    picture = np.full((48, 40, 3), 255, np.uint8)
    picture[4:28, 4:24] = (sources.ramp() // 16).astype(np.uint8)[..., None]
    return _private(sources.with_pixels(ds, picture, 8))


def _nested() -> Dataset:
    ds = sources.spine()
    for _ in range(8):
        outer = Dataset()
        outer.RequestedProcedureCodeSequence = [sources.code("77080", "C4", "DXA")]
        outer.ScheduledProtocolCodeSequence = [sources.code("1", "99X", "AP Spine")]
        outer.RequestAttributesSequence = ds.get("RequestAttributesSequence", [])
        ds.RequestAttributesSequence = [outer]
    ds["RequestAttributesSequence"].is_undefined_length = True
    return ds


def _compressed() -> Dataset:
    ds = sources.spine()
    sources.encoded(ds)
    ds.compress(RLELossless)
    return ds


def _part10(folder: Path) -> None:
    display = {"SOPClassUID": sources.CR, "PixelSpacing": None, "PixelSpacingCalibrationType": None}
    eight = sources.with_pixels(sources.spine(**display), sources.ramp(levels=256).astype(np.uint8), 8)
    japanese = sources.spine(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"
    )
    spine = sources.write(folder / "spine.dcm", sources.spine())
    sources.write(folder / "spine-implicit.dcm", sources.spine(), ImplicitVRLittleEndian)
    sources.write(folder / "spine-big-endian.dcm", sources.spine(), ExplicitVRBigEndian)
    sources.write(folder / "spine-deflated.dcm", sources.spine(), DeflatedExplicitVRLittleEndian)
    sources.write(folder / "spine-rle.dcm", _compressed(), RLELossless)
    sources.write(folder / "spine-japanese.dcm", japanese)
    sources.write(folder / "display-comments.dcm", _with_comments(eight))
    sources.write(folder / "page.dcm", _page())
    sources.write(folder / "nested.dcm", _nested())
    report = reported.report(reported.scored(spine))
    derived = measurement_report.build(report, spine, sr_class="3d")
    (folder / "own-report.dcm").write_bytes(derived.part10)


def _with_comments(ds: Dataset) -> Dataset:
    ds.ImageComments = _COMMENTS
    return ds


def _clinical(folder: Path) -> None:
    head = "patient_id,issuer,accession_number,source,frax_major_percent,frax_hip_percent,frax_with_bmd"
    (folder / "table.csv").write_text(f"{head}\n007,CLINIC,A-1,letter,22.0,4.5,yes\n008,,A-2,letter,9,1,no\n")
    (folder / "semicolon.csv").write_bytes(
        "\ufeffpatient_id;source;fracture_sites\r\n007;letter;wrist\r\n".encode()
    )
    densities = [{"site": "total_hip", "side": "left", "bmd_g_cm2": 0.801, "t_score": -1.4}]
    record = {"patient_id": "007", "source": "letter", "densities": densities, "frax": {"major_percent": 9.5}}
    (folder / "list.json").write_text(json.dumps([record, record]))
    (folder / "found-deep.json").write_text("[" * 20_000)


def main() -> None:
    """Write every file of the corpus but what a run found and what was recorded."""
    for name, make in {"part10": _part10, "clinical": _clinical}.items():
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch))
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            for path in Path(scratch).iterdir():
                shutil.copyfile(path, CORPUS / name / path.name)
    example = Path("config/tbsnode.example.toml")
    (CORPUS / "config").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(example, CORPUS / "config" / "example.toml")


if __name__ == "__main__":
    main()
