"""Results as files, without network and database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.dicom import uids
from tbsnode.model import AnalysisStatus, DerivedKind, Provenance
from tbsnode.pipeline.making import Material, make, make_report
from tbsnode.report import figures, pdf, png

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.pipeline.analyze import AnalysisSettings, FileResult


def write_files(result: FileResult, directory: Path, *, settings: AnalysisSettings) -> tuple[Path, ...]:
    """Write overlay, PDF and SR of a scored or refused image of a file.

    Parameters
    ----------
    result : FileResult
        From `analyze.analyze_file`.
    directory : Path
        Exists; files of the same name are replaced.
    settings : AnalysisSettings
        Those of the analysis; `made_at` is the time that the files state.

    Returns
    -------
    tuple of Path
        What was written; nothing for what is not applicable.
    """
    analysis, image = result.analysis, result.image
    if analysis.reason is not None and analysis.status is not AnalysisStatus.REFUSED:
        return ()
    if image is None:
        return ()
    provenance = Provenance(
        version=settings.version,
        device_uid=uids.device_uid("tbsnode analyze"),
        station="",
        serial_number="tbsnode analyze",
        content_at=settings.made_at,
    )
    material = Material(report=make_report(analysis, provenance=provenance), image=image, source=result.path)
    # the SR states what it would without --research: what is provisional is no coded value
    stated = make_report(replace(analysis, research=False, provisional=None), provenance=provenance)
    name = f"{result.path.stem}-{analysis.image_sha256[:8]}" + (f"-{image.frame}" if image.frame else "")
    written = {
        directory / f"{name}.pdf": pdf.render(material.report, image.pixels),
        directory / f"{name}.sr.dcm": make(replace(material, report=stated), DerivedKind.SR).part10,
    }
    if analysis.status is AnalysisStatus.SCORED:
        drawn = figures.overlay_rgb(image.pixels, analysis)
        written[directory / f"{name}.overlay.png"] = png.encode(drawn)
    for path, data in written.items():
        path.write_bytes(data)
    return tuple(written)
