"""The English words of page 2, the evidence."""

from __future__ import annotations

EVIDENCE: dict[str, str] = {}
