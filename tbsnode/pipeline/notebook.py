"""The door for notebooks and scripts: a file of any kind in, rows or pictures out.

``from tbsnode import analyze, read_pictures`` is the way here. No network, no database, no
configuration: nothing is assumed about a scanner, and there is no calibration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbsnode.dicom.image import read_images
from tbsnode.errors import AnalysisError
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.reasons import Code, Finding
from tbsnode.report import table
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.spine import Picture

if TYPE_CHECKING:
    from os import PathLike


def analyze(path: str | PathLike[str], parameters: Parameters | None = None) -> list[dict[str, Any]]:
    """Measure every image of a file; what comes back is what ``tbsnode analyze --json`` prints.

    Parameters
    ----------
    path : str or path
        Any file; one that is not DICOM gives a row that says so.
    parameters : Parameters, optional
        Region and estimator; the defaults without it.

    Returns
    -------
    list of dict
        At least one row. `score` is the texture slope, None with a `reason` where there is none; `tbs` is
        always None here.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "notes.txt"
    ...     _ = path.write_text("not an image")
    ...     (row,) = analyze(path)
    >>> row["status"], row["reason"]["code"], row["score"]
    ('refused', 'NOT_DICOM', None)
    """
    where = _existing(path)
    settings = AnalysisSettings(parameters=parameters or Parameters())
    return [table.as_json(each.analysis, str(path)) for each in analyze_file(where, settings)]


def read_pictures(path: str | PathLike[str]) -> tuple[Picture, ...]:
    """Read the pictures of a file as the analysis sees them, for `tbs.measure` and regions of one's own.

    Parameters
    ----------
    path : str or path
        A DICOM file.

    Returns
    -------
    tuple of Picture
        One a frame: bone bright, float64, with spacing, padding and what covers the bone. Empty where the
        object is no image.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InstanceError
        If it is not DICOM, or nothing that this software takes.
    AnalysisError
        If no number may be given from these pixels: the finding says why.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tbsnode.dicom import acquisition
    >>> (part10,) = acquisition.study("raw", patient=acquisition.PatientTags(), seed=1)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "spine.dcm"
    ...     _ = path.write_bytes(part10)
    ...     (picture,) = read_pictures(path)
    >>> picture.pixels.shape, picture.pixel_spacing_mm
    ((394, 274), (0.5, 0.5))
    """
    pictures = []
    for image in read_images(_existing(path)):
        if image.refusal is not None or image.pixel_spacing_mm is None:
            raise AnalysisError(image.refusal or Finding(Code.NO_PIXEL_SPACING))
        pictures.append(
            Picture(
                pixels=image.pixels,
                pixel_spacing_mm=image.pixel_spacing_mm,
                padding_value=image.padding_value,
                stored_maximum=image.stored_maximum,
                spacing_needs_check=image.spacing_needs_check,
                blocked=image.blocked,
                regions=image.regions,
            )
        )
    return tuple(pictures)


def _existing(path: str | PathLike[str]) -> Path:
    where = Path(path)
    if not where.is_file():
        raise FileNotFoundError(f"{where} is no file")
    return where
