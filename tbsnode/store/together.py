"""One write transaction for what several threads want written: one commit, one flush for all of them.

SQLite has one writer at a time, and each commit waits for the disk. Threads that would stand in line
hand their work to the one at the head of the line, which does all of it in its transaction. Who asked
gets its answer after that commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tbsnode.errors import ResourceError
from tbsnode.store.transaction import Transaction

Work = Callable[[Transaction], Any]


@dataclass(slots=True, eq=False)
class _Piece:
    work: Work
    done: bool = False
    value: Any = None
    error: ResourceError | None = None


class Together:
    """A line of threads before one writer.

    Parameters
    ----------
    transaction : callable
        Begins a write transaction.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        self._transaction = transaction
        self._waiting: deque[_Piece] = deque()
        self._turn = threading.Lock()

    def run(self, work: Work) -> Any:
        """Do some work in a write transaction and return what it returned, once that is committed.

        Parameters
        ----------
        work : callable
            Takes the transaction; short, and with no effect outside the database, because it is done
            again after somebody else's error. It may see uncommitted rows of the others.

        Raises
        ------
        ResourceError
            If the transaction failed; everybody in it gets the same.
        Exception
            What a piece raises otherwise, a bug: nothing of the group is written, whose turn it was gets
            it, be it its own or not, and the others do their work again.
        """
        mine = _Piece(work)
        self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                self._write(mine)
        if mine.error is not None:
            raise mine.error
        return mine.value

    def _write(self, mine: _Piece) -> None:
        """Do all that waits; after an exception that is no ResourceError each owner does its own again."""
        pieces = self._taken()
        if mine not in pieces:  # whoever took it failed
            pieces.append(mine)
        try:
            with self._transaction() as tx:
                values = [piece.work(tx) for piece in pieces]
        except ResourceError as error:
            for piece in pieces:
                piece.error, piece.done = error, True
        else:
            for piece, value in zip(pieces, values, strict=True):
                piece.value, piece.done = value, True

    def _taken(self) -> list[_Piece]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
