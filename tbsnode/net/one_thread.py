"""An association's state machine without a thread of its own.

pynetdicom gives each association two threads that hand everything to each other. For associations of
one image, which is what a densitometer sends, starting the second thread and changing between the two
cost as much as the work. Here the state machine takes a turn whenever its association waits for
something: for a message, for the peer's next word, or for the connection to close. Another thread may
only ask it to end; it looks for that as often as for its timers.
"""

from __future__ import annotations

import contextlib
import queue
import time
from typing import TYPE_CHECKING, Any

from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ

from tbsnode.net.upper_layer import PatientSocket, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator


class TurningQueue(queue.Queue[Any]):
    """A queue whose reader lets the state machine turn until there is something in it.

    Parameters
    ----------
    provider : SteppedProvider
        What may fill it, in this thread.
    """

    def __init__(self, provider: SteppedProvider) -> None:
        super().__init__()
        self._provider = provider

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an item; raise `queue.Empty` after `timeout`, or when nothing can come any more."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while block and self.empty() and self._provider.is_alive() and time.monotonic() < deadline:
            self._provider.turn()
        return super().get(block=False)


class SteppedProvider(Provider):
    """The state machine of an association, which turns in the association's own thread."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self._begun = False
        self.to_user_queue = TurningQueue(self)

    def start(self) -> None:
        """Let it be ready to turn; no thread is started."""
        self._begun = True
        self._idle_timer.start()
        self.assoc._dul_ready.set()

    def is_alive(self) -> bool:
        """Tell whether it still turns."""
        return self._begun and not self._kill_thread

    def join(self, timeout: float | None = None) -> None:
        """Return at once: there is nothing to wait for."""

    def turn(self, longest_s: float | None = None) -> None:
        """Wait until the peer says something, we have something to say or a timer may be due, then act.

        Parameters
        ----------
        longest_s : float, optional
            Wait no longer [s]; timers are looked at five times a second anyway.
        """
        if self._kill_thread:
            return
        assert isinstance(self.socket, PatientSocket)
        self.socket.longest_s = longest_s
        if self.artim_timer.expired:
            self.event_queue.put("Evt18")  # PS3.8 table 9-10
        with self._with_a_last_word():
            if not self._process_recv_primitive() and self._is_transport_event():
                self._idle_timer.restart()
            with contextlib.suppress(queue.Empty):
                self.state_machine.do_action(self.event_queue.get(block=False))

    @contextlib.contextmanager
    def _with_a_last_word(self) -> Iterator[None]:
        """Abort past the state machine where that fails: nothing else is known to work then."""
        done = False
        try:
            yield
            done = True
        finally:
            if not done:
                self._abort_at_once()

    def _abort_at_once(self) -> None:
        assert isinstance(self.socket, PatientSocket)
        abort = A_ABORT_RQ()
        abort.source = 0x02
        abort.reason_diagnostic = 0x00
        self._kill_thread = True
        self.assoc.is_aborted, self.assoc.is_established = True, False
        self.assoc._kill = True
        with contextlib.suppress(OSError):
            self.socket.send(abort.encode())


def attach(assoc: Association) -> SteppedProvider:
    """Give an association a `SteppedProvider`, and queues that let it turn.

    Parameters
    ----------
    assoc : pynetdicom.association.Association
        Without socket yet.
    """
    provider = SteppedProvider(assoc)
    assoc.dul = provider
    assoc.dimse.msg_queue = TurningQueue(provider)
    return provider
