"""The scanner's densities of a whole study: every site of every report and page, each with its source.

Hips and forearms count too, and instances that are no spine at all; no pixel is decoded, and nothing is
recomputed: what a scanner states is carried with the instance that states it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.dicom import part10, results_comments, results_report, results_text
from tbsnode.errors import InstanceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tbsnode.model import InstanceIdentity, ScannerResults
    from tbsnode.pipeline.site import Site
    from tbsnode.store.records import InstanceRow

# numbers with units go before printed ones, and those before what nobody documents
_REPORT, _TEXT, _COMMENTS = range(3)
_SIDED = ("total_hip", "femoral_neck", "one_third_radius")
_LATERALITIES = {"L": "left", "R": "right"}


def all_results(site: Site, current: Sequence[InstanceRow]) -> tuple[ScannerResults, ...]:
    """Return the results of each instance that states some.

    Parameters
    ----------
    site : Site
        Archive.
    current : sequence of InstanceRow
        The study's current instances, in order of arrival.

    Returns
    -------
    tuple of ScannerResults
        Structured reports first, then private text, then comments; of one kind the latest acquisition
        first, as a repeated scan replaces the earlier one. What a copy repeats is left out.
    """
    found = [
        (rank, row.identity.acquisition_date_time, results)
        for row in current
        if not row.identity.made_by_tbsnode
        for rank, results in _of_instance(site.archive.path(row.path), row.identity)
    ]
    found.sort(key=lambda each: each[1], reverse=True)
    found.sort(key=lambda each: each[0])
    distinct: dict[object, ScannerResults] = {}
    for rank, _, results in found:
        distinct.setdefault((rank, results.sites), results)
    return tuple(distinct.values())


def _of_instance(path: Path, identity: InstanceIdentity) -> Iterator[tuple[int, ScannerResults]]:
    """Yield what one instance states, with its rank; one that cannot be read states nothing."""
    try:
        if not identity.is_image:
            stated = [(_REPORT, results_report.read_results(path))]
        else:
            text = results_text.read_results(path).results(identity.sop_instance_uid)
            stated = [(_TEXT, text), (_COMMENTS, results_comments.read_results(path))]
        for rank, results in stated:
            if results is not None:
                yield (
                    rank,
                    replace(
                        _sided(results, path, identity),
                        sop_class_uid=identity.sop_class_uid,
                        series_instance_uid=identity.series_instance_uid,
                    ),
                )
    except InstanceError:
        return


def _sided(results: ScannerResults, path: Path, identity: InstanceIdentity) -> ScannerResults:
    """Give hips and forearms the side that the header states, where their results state none."""
    if not any(site.site in _SIDED and not site.side for site in results.sites):
        return results
    side = _side(path, identity)
    return replace(
        results,
        sites=tuple(
            replace(site, side=side) if site.site in _SIDED and not site.side else site
            for site in results.sites
        ),
    )


def _side(path: Path, identity: InstanceIdentity) -> str:
    """Return the side of the one part that a header is about; empty where it names none or both."""
    header = part10.read_header(path)
    for keyword in ("ImageLaterality", "Laterality"):
        if stated := _LATERALITIES.get(header.text(keyword).upper()):
            return stated
    words = f"{identity.protocol_name} {identity.series_description}".lower()
    named = set(re.findall(r"\b(left|right)\b", words))
    return named.pop() if len(named) == 1 else ""
