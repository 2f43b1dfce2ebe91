"""The same content in another SR class, or after another predecessor.

The three SR classes hold the same data set; what a destination takes, and what it received before,
is known only when it is sent to. Recasting changes the names and nothing that is stated: who verified
the content verified it in every class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from tbsnode.dicom import part10
from tbsnode.dicom.quiet import quiet_pydicom
from tbsnode.model import DerivedInstance, DerivedKind

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.model import Reference

# the modules of pictures and key objects know no predecessor (PS3.3 C.17.2, C.24.2)
_WITH_PREDECESSOR = frozenset([DerivedKind.SR, DerivedKind.PDF])


def recast(
    path: Path,
    *,
    kind: DerivedKind,
    sop_class_uid: str,
    sop_instance_uid: str,
    predecessor: Reference | None,
) -> DerivedInstance:
    """Return an archived instance of ours under another class, name and predecessor.

    Parameters
    ----------
    path : Path
        The archived instance.
    kind : DerivedKind
        What it is.
    sop_class_uid, sop_instance_uid : str
        Its new class and name; only measurement reports have a choice of classes.
    predecessor : Reference or None
        The document that it replaces where it is sent (PS3.3 C.17.2, Predecessor Documents).

    Returns
    -------
    DerivedInstance
        Finished; nothing but names and predecessor differs.
    """
    with quiet_pydicom():
        ds = dcmread(path)
        ds.SOPClassUID = UID(sop_class_uid)
        ds.SOPInstanceUID = UID(sop_instance_uid)
        if "PredecessorDocumentsSequence" in ds:
            del ds.PredecessorDocumentsSequence
        if predecessor is not None and kind in _WITH_PREDECESSOR:
            ds.PredecessorDocumentsSequence = [_document(predecessor)]
        part10_bytes = part10.encode(ds, version=str(ds.get("SoftwareVersions", "")))
    return DerivedInstance(
        kind=kind,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=str(ds.SeriesInstanceUID),
        study_instance_uid=str(ds.StudyInstanceUID),
        predecessor_uid=predecessor.sop_instance_uid if predecessor else "",
        part10=part10_bytes,
    )


def _document(reference: Reference) -> Dataset:
    """Build one item of the Hierarchical SOP Instance Reference macro (PS3.3 table C.17-3)."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = UID(reference.sop_class_uid)
    instance.ReferencedSOPInstanceUID = UID(reference.sop_instance_uid)
    series = Dataset()
    series.SeriesInstanceUID = UID(reference.series_instance_uid)
    series.ReferencedSOPSequence = [instance]
    study = Dataset()
    study.StudyInstanceUID = UID(reference.study_instance_uid)
    study.ReferencedSeriesSequence = [series]
    return study
