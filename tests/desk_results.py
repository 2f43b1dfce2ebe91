"""A stored result without a picture: a row for tests of what happens to results."""

from __future__ import annotations

from tbsnode.store import results
from tbsnode.store.database import Transaction
from tests import analyses


def add(
    tx: Transaction,
    study_id: int,
    *,
    score: float = 1.25,
    generation: int = 1,
    content: str = "c" * 64,
    shadow: bool = False,
    findings: tuple[str, ...] = (),
) -> int:
    """Write a result, reported and published unless it is for comparison only; return its row."""
    analysis = analyses.scored(score=score, standard_error=0.01)
    context = results.AnalysisContext(
        generation=generation,
        instance_id=None,
        reported=not shadow,
        published=not shadow,
        shadow=shadow,
        content_digest=content,
        result_digest="",
        content_at=tx.now,
        result={"findings": [{"code": code} for code in findings]},
    )
    return results.add_analysis(tx, study_id, analysis, context)
