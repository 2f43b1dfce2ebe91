"""What is negotiated: nothing that would be inflated in memory."""

from __future__ import annotations

from pathlib import Path

from tbsnode.dicom import sop_classes
from tbsnode.net.admission import PUSH_MODEL, Admission
from tbsnode.net.scp_settings import ScpSettings


def test_requests_of_storage_commitment_come_uncompressed(tmp_path: Path) -> None:
    settings = ScpSettings(
        ae_title="TBSNODE",
        bind="127.0.0.1",
        port=0,
        callers=(),
        incoming=tmp_path,
        storage_classes=(),
        transfer_syntaxes=tuple(sop_classes.TRANSFER_SYNTAXES),
    )
    (context,) = Admission(settings, with_commitment=True).supported([PUSH_MODEL], only_reports=False)
    assert set(context.transfer_syntax) == {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}
