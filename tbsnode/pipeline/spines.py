"""The pictures of a study: which may be a spine, what each comes to, and which one stands for the study.

Headers nominate, pixels decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbsnode.dicom import image as dicom_image
from tbsnode.dicom import results_report
from tbsnode.errors import InstanceError
from tbsnode.model import Analysis, AnalysisStatus, Claim, DensitometryImage, InputClass
from tbsnode.pipeline import healing
from tbsnode.pipeline.analyze import analyze_image
from tbsnode.reasons import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import ScannerResults
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.site import Site
    from tbsnode.store.records import InstanceRow

_BETTER = (InputClass.DISPLAY, InputClass.IMAGE, InputClass.RAW)  # a copy does not replace what it shows


@dataclass(frozen=True, eq=False, kw_only=True)
class Spine:
    """One analyzed candidate of a study."""

    instance: InstanceRow
    image: DensitometryImage
    analysis: Analysis


def analyze_pictures(site: Site, settings: AnalysisSettings, current: Sequence[InstanceRow]) -> list[Spine]:
    """Analyze each distinct picture of a study once; scanners send copies under other UIDs.

    Parameters
    ----------
    site : Site
        Whose archive has the files.
    settings : AnalysisSettings
        Estimator, calibrations, corrections.
    current : sequence of InstanceRow
        The study's current instances, in order of arrival.

    Returns
    -------
    list of Spine
        In that order; each scored, refused or not applicable.

    Raises
    ------
    CorrectionError
        If the corrections do not fit the picture that they are for.
    DamagedFile
        If a file is gone or is not what was received: nothing is measured then.
    """
    healing.require_whole(site, current)
    # what one instance of the examination states, a report or a page, holds for its other pictures
    reported = _reported(site, current)
    pictures = _pictures(site, settings, current, reported)
    stated = next((image.results for _, image in pictures if image.results is not None), reported)
    return [
        Spine(instance=row, image=image, analysis=analyze_image(image, settings, stated))
        for row, image in pictures
    ]


def _reported(site: Site, current: Sequence[InstanceRow]) -> ScannerResults | None:
    """Return the scanner's results of the latest structured report that has some of the spine."""
    newest = sorted(current, key=lambda each: each.identity.acquisition_date_time, reverse=True)
    for row in newest:
        if row.identity.is_image or row.identity.made_by_tbsnode:
            continue
        try:
            results = results_report.read_results(site.archive.path(row.path))
        except InstanceError:
            continue
        if results is not None and any(each.site.startswith("L") for each in results.sites):
            return results
    return None


def _pictures(
    site: Site,
    settings: AnalysisSettings,
    current: Sequence[InstanceRow],
    reported: ScannerResults | None,
) -> list[tuple[InstanceRow, DensitometryImage]]:
    """Read each distinct picture that may be a spine."""
    seen: set[str] = set()
    pictures = []
    for row in current:
        if not row.identity.is_image or row.identity.claim is Claim.OTHER:
            continue
        try:
            images = dicom_image.read_images(
                site.archive.path(row.path), hints=settings.hints_for(row.identity), results=reported
            )
        except InstanceError:
            continue  # not an image after all; intake kept it as received
        for image in images:
            if image.image_sha256 not in seen:
                seen.add(image.image_sha256)
                pictures.append((row, image))
    return pictures


def choose(answers: Sequence[Spine], chosen: str = "") -> tuple[Spine, tuple[Spine, ...]]:
    """Report the reviewer's choice, else the latest acquisition that scores; name the others.

    Parameters
    ----------
    answers : sequence of Spine
        At least one, none of them not applicable.
    chosen : str
        SOP Instance UID that a reviewer chose; empty for none.

    Returns
    -------
    tuple of (Spine, tuple of Spine)
        The one that stands for the study, which names the others that score; and all others.
    """
    picked = [s for s in answers if s.instance.sop_instance_uid == chosen]
    among = picked or list(answers)
    pool = [s for s in among if s.analysis.status is AnalysisStatus.SCORED] or among
    reported = max(pool, key=_order)
    others = tuple(s for s in answers if s is not reported)
    also = [s.instance.sop_instance_uid for s in others if s.analysis.status is AnalysisStatus.SCORED]
    if also:
        finding = Finding(Code.MULTIPLE_SPINES, values=(("others", ", ".join(also)),))
        analysis = replace(reported.analysis, findings=(*reported.analysis.findings, finding))
        reported = Spine(instance=reported.instance, image=reported.image, analysis=analysis)
    return reported, others


def _order(spine: Spine) -> tuple[str, int, int, int, int, str]:
    """Order acquisitions, of one the better pixels; the UID breaks ties, so that a rerun chooses the same."""
    identity, input_class = spine.instance.identity, spine.image.input_class
    return (
        identity.acquisition_date_time,
        _BETTER.index(input_class) if input_class in _BETTER else -1,
        _number(identity.series_number),
        _number(identity.instance_number),
        spine.image.frame,
        identity.sop_instance_uid,
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0
