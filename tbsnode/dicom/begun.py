"""A file whose beginning is in memory: whoever wrote it need not read it back to walk its header."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Protocol


class Seekable(Protocol):
    """What a walk needs of a binary file."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position and return it."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, fewer at the end."""
        ...


class Begun:
    """Reads a file, and opens it only for what lies behind its beginning.

    Parameters
    ----------
    path : Path
        The file; nobody changes it meanwhile.
    beginning : bytes
        Its first bytes.
    size : int
        How many it has.
    """

    def __init__(self, path: Path, beginning: bytes, size: int) -> None:
        self._path = path
        self._beginning = beginning
        self._size = size
        self._position = 0
        self._file: IO[bytes] | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, counted from the beginning or from the end, and return it."""
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, fewer at the end."""
        start, end = self._position, min(self._position + size, self._size)
        if end <= len(self._beginning):
            found = self._beginning[start:end]
        else:
            if self._file is None:
                self._file = self._path.open("rb")
            self._file.seek(start)
            found = self._file.read(size)
        self._position = start + len(found)
        return found

    def close(self) -> None:
        """Close the file, where it was opened."""
        if self._file is not None:
            self._file.close()
