"""A stored result without a picture: a row for tests of what happens to results."""

from __future__ import annotations

from tbsnode.model import Analysis, AnalysisStatus, InputClass
from tbsnode.store import results
from tbsnode.store.database import Transaction
from tbsnode.tbs.parameters import Parameters


def add(
    tx: Transaction,
    study_id: int,
    *,
    score: float = 1.25,
    generation: int = 1,
    content: str = "c" * 64,
    shadow: bool = False,
) -> int:
    """Write a result, reported and published unless it is for comparison only; return its row."""
    analysis = Analysis(
        status=AnalysisStatus.SCORED,
        reason=None,
        identity=None,
        frame=0,
        image_sha256="a" * 64,
        data_set_sha256="b" * 64,
        input_class=InputClass.IMAGE,
        pixel_spacing_mm=(0.6, 0.6),
        spacing_source="PixelSpacing",
        label_confidence=0.9,
        alternative=None,
        vertebrae=(),
        score=score,
        standard_error=0.01,
        native_score=1.1,
        tbs=None,
        z_score=None,
        category=None,
        calibration=None,
        findings=(),
        parameters=Parameters(),
        version="1.0",
    )
    context = results.AnalysisContext(
        generation=generation,
        instance_id=None,
        reported=not shadow,
        published=not shadow,
        shadow=shadow,
        content_digest=content,
        result_digest="",
        content_at=tx.now,
        result={},
    )
    return results.add_analysis(tx, study_id, analysis, context)
