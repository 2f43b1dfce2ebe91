"""The English words of page 1, the decision."""

from __future__ import annotations

DECISION: dict[str, str] = {}
