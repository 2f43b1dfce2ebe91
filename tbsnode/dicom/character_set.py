"""Which Specific Character Set a document gets, and how words are encoded in it.

What is copied from the source stays as it is, bytes and character set. Only where a name or a comment
that somebody wrote does not fit that character set does the document change to ISO_IR 192 (UTF-8), and
then everything that was copied is encoded again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydicom.charset import encode_string
from pydicom.valuerep import PersonName

from tbsnode.dicom.encoded import dictionary_vr
from tbsnode.dicom.part10 import Header, decoded
from tbsnode.dicom.quiet import quiet_pydicom

_CHARACTER_SET = 0x00080005
_UTF_8 = b"ISO_IR 192"
_UTF_8_CODEC = "UTF8"  # as `Header.encodings` names it
_DEFAULT = "iso8859"  # pydicom's name for the default repertoire, which is ASCII alone
_AFFECTED = frozenset(["SH", "LO", "ST", "LT", "UC", "UT", "PN"])  # PS3.5 6.1.2.2
_DELIMITERS = "\\^="
_NAME_GROUP = 64  # characters (PS3.5 6.2)


def holding(header: Header, words: Iterable[str], names: Iterable[str] = ()) -> Header:
    r"""Return a header in a character set that can also hold some words.

    Parameters
    ----------
    header : Header
        Of the source.
    words : iterable of str
        What people wrote.
    names : iterable of str
        Values of attributes in which ``\``, ``^`` and ``=`` are delimiters.

    Returns
    -------
    Header
        The same where its character set holds all of them, else in ISO_IR 192. `encodings` says in what
        the words are to be encoded.
    """
    codecs = header.encodings
    if all(holds(each, codecs) for each in words) and all(holds(each, codecs, name=True) for each in names):
        return header
    made = _in_utf_8(header)
    return replace(made, values={_CHARACTER_SET: _UTF_8, **made.values})


def holds(text: str, encodings: tuple[str, ...], *, name: bool = False) -> bool:
    """Tell if a text comes back from a character set as it went in.

    In JIS X 0208 half of a letter may look like a delimiter (the second byte of U+672C is 5CH). The
    standard allows it, and readers that know no code extensions cut a name there, or refuse the document;
    as UTF-8 everybody reads it.

    Examples
    --------
    >>> holds("Müller", ("latin_1",)), holds("Müller", ("iso8859",))
    (True, False)
    >>> kanji = ("iso8859", "iso2022_jp")
    >>> holds("日本", kanji), holds("山田", kanji, name=True), holds("山本", kanji, name=True)
    (True, True, False)
    """
    text = _printable(text)
    if text.isascii():
        return True
    if _DEFAULT in encodings and any("\x80" <= letter <= "\xff" for letter in text):
        return False  # pydicom would write them, and nobody else would read them
    return all(_comes_back(line, encodings, _DELIMITERS if name else "") for line in text.splitlines())


def _comes_back(line: str, encodings: tuple[str, ...], delimiters: str) -> bool:
    made = encode_text(line, encodings)
    seen = all(made.count(sign.encode("ascii")) == line.count(sign) for sign in delimiters)
    return seen and decoded(made, encodings, name=False) == line


def encode_text(text: str, encodings: Sequence[str]) -> bytes:
    """Encode a text of any length; a character that does not fit becomes a question mark."""
    text = _printable(text)
    if text.isascii():
        return text.encode("ascii")
    with quiet_pydicom():
        lines = text.split("\n")
        return b"\n".join(encode_string(line, list(encodings)) for line in lines)


def encode_name(name: str, encodings: Sequence[str]) -> bytes:
    """Encode a person name, its groups where they belong."""
    with quiet_pydicom():
        return PersonName(in_groups(_printable(name))).encode(list(encodings))


def in_groups(name: str) -> str:
    """Return a name with ideographs in the second group and kana or hangul in the third (PS3.5 6.2.1.1).

    Somebody who configures a name writes one group and knows of no others; a name with groups is kept.

    Examples
    --------
    >>> [in_groups(name) for name in ("Doe^Jane", "山田^太郎", "김^민수", "Yamada^Tarou=山田^太郎")]
    ['Doe^Jane', '=山田^太郎', '==김^민수', 'Yamada^Tarou=山田^太郎']
    """
    groups = [group[:_NAME_GROUP] for group in name.replace("\\", " ").split("=")[:3]]
    if len(groups) > 1 or name.isascii():
        return "=".join(groups)
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in name}
    if "CJK" in scripts:
        return f"={groups[0]}"
    return f"=={groups[0]}" if scripts & {"HIRAGANA", "KATAKANA", "HANGUL"} else groups[0]


def _printable(text: str) -> str:
    """Drop control characters; an escape would switch the character set (PS3.5 6.1.3)."""
    return "".join(letter for letter in text if letter in "\n\r\t" or unicodedata.category(letter) != "Cc")


def _in_utf_8(header: Header) -> Header:
    values = {}
    for tag, raw in header.values.items():
        if tag == _CHARACTER_SET:
            continue
        vr = dictionary_vr(tag)
        values[tag] = raw if vr not in _AFFECTED else _again(raw, header.encodings, name=vr == "PN")
    sequences = {tag: tuple(_in_utf_8(item) for item in items) for tag, items in header.sequences.items()}
    return replace(header, values=values, sequences=sequences, encodings=(_UTF_8_CODEC,))


def _again(raw: bytes, encodings: tuple[str, ...], *, name: bool) -> bytes:
    if raw.isascii() and b"\x1b" not in raw:
        return raw
    text = decoded(raw, encodings, name=name)
    if "\N{REPLACEMENT CHARACTER}" in text:
        text = raw.decode("latin-1")
    return text.encode("utf-8")
