"""Studies in numbers: one picture drawn, restated for as many patients as are wanted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tbsnode.dicom import acquisition

_ENTROPY = "tbsnode many studies"


def studies(folder: Path, number: int, *, size: str = "full") -> Iterator[tuple[str, Path]]:
    """Write studies of one image each: a display copy of an AP spine, 780 x 716 pixels where ``"full"``.

    Parameters
    ----------
    folder : Path
        Where to; made if missing.
    number : int
        How many.
    size : str
        ``"full"`` or ``"small"``.

    Yields
    ------
    tuple
        Study Instance UID and file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patient = acquisition.PatientTags(patient_id="MANY", name="Many^Studies")
    options = acquisition.Options(small=size == "small", anatomy_seed=7)
    (drawn,) = acquisition.study("display", patient=patient, seed=7, options=options)
    ds = dcmread(io.BytesIO(drawn))
    for count in range(number):
        sources = [_ENTROPY, str(count)]
        ds.StudyInstanceUID = generate_uid(entropy_srcs=[*sources, "study"])
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[*sources, "series"])
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[*sources, "image"])
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PatientID = f"MANY-{count}"
        path = folder / f"{count}.dcm"
        ds.save_as(path)
        yield str(ds.StudyInstanceUID), path
