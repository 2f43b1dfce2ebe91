"""A deflated data set -> a file to walk, within a limit: two megabytes may become two gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from tbsnode.dicom.begun import Seekable
from tbsnode.errors import InvalidInstance

_MAX_INFLATED = 1 << 28  # bytes; the temporary folder may lie in memory, and many may come at once
_IN_MEMORY = 16 << 20
_CHUNK = 1 << 20


@contextmanager
def inflated(stream: Seekable, start: int) -> Iterator[IO[bytes]]:
    """Inflate to a temporary file (PS3.5 A.5: raw deflate, RFC 1951).

    Raises
    ------
    InvalidInstance
        If it is broken, ends early, or becomes larger than any such data set is.
    """
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as plain:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        stream.seek(start)
        try:
            while not inflater.eof and (data := stream.read(_CHUNK)):
                # what follows the end, as the padding of an odd length does, stays unconsumed for ever
                while data and not inflater.eof:
                    plain.write(inflater.decompress(data, _CHUNK))
                    data = inflater.unconsumed_tail
                    if plain.tell() > _MAX_INFLATED:
                        raise InvalidInstance("The deflated data set becomes too large.")
            plain.write(inflater.flush())
        except zlib.error as error:
            raise InvalidInstance("The deflated data set cannot be inflated.") from error
        if not inflater.eof:
            raise InvalidInstance("The deflated data set is truncated.")
        yield plain
