"""A five-by-seven dot alphabet, drawn for the report pages of the phantoms.

Each letter is seven rows from the top, each row a number whose five bits are the dots from the left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS = {
    "A": "0e 11 11 1f 11 11 11",
    "B": "1e 11 11 1e 11 11 1e",
    "C": "0e 11 10 10 10 11 0e",
    "D": "1e 11 11 11 11 11 1e",
    "E": "1f 10 10 1e 10 10 1f",
    "F": "1f 10 10 1e 10 10 10",
    "G": "0e 11 10 17 11 11 0e",
    "H": "11 11 11 1f 11 11 11",
    "I": "0e 04 04 04 04 04 0e",
    "J": "07 02 02 02 02 12 0c",
    "K": "11 12 14 18 14 12 11",
    "L": "10 10 10 10 10 10 1f",
    "M": "11 1b 15 15 11 11 11",
    "N": "11 19 19 15 13 13 11",
    "O": "0e 11 11 11 11 11 0e",
    "P": "1e 11 11 1e 10 10 10",
    "Q": "0e 11 11 11 15 12 0d",
    "R": "1e 11 11 1e 14 12 11",
    "S": "0f 10 10 0e 01 01 1e",
    "T": "1f 04 04 04 04 04 04",
    "U": "11 11 11 11 11 11 0e",
    "V": "11 11 11 11 0a 0a 04",
    "W": "11 11 11 15 15 1b 11",
    "X": "11 0a 0a 04 0a 0a 11",
    "Y": "11 11 0a 04 04 04 04",
    "Z": "1f 01 02 04 08 10 1f",
    "0": "0e 11 13 15 19 11 0e",
    "1": "04 0c 04 04 04 04 0e",
    "2": "0e 11 01 06 08 10 1f",
    "3": "1e 01 01 0e 01 01 1e",
    "4": "02 06 0a 12 1f 02 02",
    "5": "1f 10 1e 01 01 11 0e",
    "6": "06 08 10 1e 11 11 0e",
    "7": "1f 01 02 04 04 08 08",
    "8": "0e 11 11 0e 11 11 0e",
    "9": "0e 11 11 0f 01 02 0c",
    ".": "00 00 00 00 00 0c 0c",
    ",": "00 00 00 00 0c 04 08",
    ":": "00 0c 0c 00 0c 0c 00",
    "-": "00 00 00 0e 00 00 00",
    "/": "01 01 02 04 08 10 10",
    "(": "02 04 08 08 08 04 02",
    ")": "08 04 02 02 02 04 08",
    "=": "00 00 1f 00 1f 00 00",
    "%": "18 19 02 04 08 13 03",
    " ": "00 00 00 00 00 00 00",
}
_UNKNOWN = "1f 11 11 11 11 11 1f"
_ADVANCE = 6  # dots from letter to letter
ROW_COUNT = 7


def text_mask(text: str, *, dot_px: int = 1) -> NDArray[np.bool_]:
    """Return where ink goes for one line of text.

    Parameters
    ----------
    text : str
        Lower case is drawn as upper case, an unknown letter as a box.
    dot_px : int
        Side of a dot [pixels].

    Returns
    -------
    ndarray of bool, shape (7 * dot_px, 6 * dot_px * len(text))
        True on ink.

    Examples
    --------
    >>> for row in text_mask("L1"):
    ...     print("".join(".#"[int(dot)] for dot in row).rstrip("."))
    #.......#
    #......##
    #.......#
    #.......#
    #.......#
    #.......#
    #####..###
    """
    mask = np.zeros((ROW_COUNT, _ADVANCE * max(len(text), 1)), dtype=bool)
    for place, letter in enumerate(text.upper()):
        for row, code in enumerate(_ROWS.get(letter, _UNKNOWN).split()):
            bits = int(code, 16)
            for column in range(5):
                mask[row, place * _ADVANCE + column] = bool(bits >> (4 - column) & 1)
    result: NDArray[np.bool_] = mask.repeat(dot_px, axis=0).repeat(dot_px, axis=1)
    return result
