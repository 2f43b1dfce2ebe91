"""Words and numbers of the interpretation, as one language writes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from tbsnode import text


@dataclass(frozen=True, slots=True)
class Words:
    """The phrases of the interpretation in one language.

    Attributes
    ----------
    language : str
        Of the catalogue.
    """

    language: str

    def say(self, key: str, **values: str) -> str:
        """Return a phrase of the interpretation, filled in."""
        return text.phrase(f"interpret_{key}", language=self.language, **values)

    def known(self, key: str) -> str | None:
        """Return a phrase that there may be, None where there is none."""
        return text.LANGUAGES[self.language].phrases.get(f"interpret_{key}")

    def both(self, words: Sequence[str]) -> str:
        """Join words that all hold."""
        return text.join(words, language=self.language)

    def either(self, words: Sequence[str]) -> str:
        """Join words of which one holds."""
        if len(words) < 2:
            return "".join(words)
        conjunction = text.phrase("or", language=self.language)
        return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def fixed(value: float, decimals: int) -> str:
    """Write a number with so many decimals; what rounds to zero has no sign.

    Examples
    --------
    >>> fixed(-0.72, 1), fixed(-0.04, 1)
    ('-0.7', '0.0')
    """
    shown = f"{value:.{decimals}f}"
    return shown.lstrip("-") if float(shown) == 0 else shown


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign and so many decimals; what rounds to zero has none.

    Examples
    --------
    >>> signed(-0.72, 1), signed(1.0, 1), signed(-0.04, 1)
    ('-0.7', '+1.0', '0.0')
    """
    shown = f"{value:+.{decimals}f}"
    return shown.lstrip("+-") if float(shown) == 0 else shown


def percent(value: float) -> str:
    """Write a percentage in tenths, rounded by way of its hundredths, halves up.

    The reference example of the interpretation gives its interval in hundredths (5.75) and prints the
    tenths of those (5.8), where the unrounded 5.748 would give 5.7.

    Examples
    --------
    >>> percent(5.7485), percent(22.6998), percent(22.0)
    ('5.8', '22.7', '22.0')
    """
    hundredths = Decimal(f"{value:.2f}")
    return str(hundredths.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


def decimals_beside(difference: float, lsc: float | None) -> int:
    """Return how many decimals a change and the least significant one are written with.

    Three; more where a change exceeds and three would print both alike, unless six would too.

    Examples
    --------
    >>> decimals_beside(-0.0504, 0.05), decimals_beside(0.0496, 0.05), decimals_beside(1.18 - 1.13, 0.05)
    (4, 3, 3)
    """
    if lsc is None or abs(difference) <= lsc:
        return 3
    return next((n for n in range(3, 7) if f"{abs(difference):.{n}f}" != f"{lsc:.{n}f}"), 3)


def short(value: float) -> str:
    """Write a number with one decimal, and without it where it is zero.

    Examples
    --------
    >>> short(26.03), short(24.46)
    ('26', '24.5')
    """
    return fixed(value, 1).removesuffix(".0")


def plain(value: str) -> str:
    """Write somebody's words in ASCII: without accents, or not at all where a letter would be lost.

    Examples
    --------
    >>> plain("Überweisung"), plain("紹介状")
    ('Uberweisung', '')
    """
    base = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    if any(not c.isascii() and c.isalnum() for c in base):
        return ""
    return " ".join("".join(c if " " <= c <= "~" else " " for c in base).split())
