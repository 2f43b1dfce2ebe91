"""The English words of the interpretation, the coding aid and the review."""

from __future__ import annotations

INTERPRETATION: dict[str, str] = {}
