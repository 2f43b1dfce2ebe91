"""Who may call us, and what is negotiated with those who do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tbsnode.net import pdu, upper_layer
from tbsnode.net.callers import KnownCallers
from tbsnode.net.commitment import PUSH_MODEL

if TYPE_CHECKING:
    from tbsnode.net.line import Line
    from tbsnode.net.scp_settings import ScpSettings

# What we like to get, of what a peer proposes: the codecs of others are a risk, so uncompressed first.
_PREFERRED = (upper_layer.EXPLICIT_VR_LITTLE_ENDIAN, upper_layer.IMPLICIT_VR_LITTLE_ENDIAN)
VERIFICATION = str(Verification)

# A-ASSOCIATE-RJ (result, source, diagnostic), PS3.8 table 9-21.
CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
TEMPORARY_CONGESTION = (2, 3, 1)
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)

REJECTIONS: dict[tuple[int, int, int], str] = {
    CALLING_AE_TITLE_NOT_RECOGNIZED: "The calling AE title, its address or its certificate is not known",
    CALLED_AE_TITLE_NOT_RECOGNIZED: "A known caller calls another AE title than ours",
    TEMPORARY_CONGESTION: "No database, or the node is stopping: call again later",
    LOCAL_LIMIT_EXCEEDED: "Too many associations are open: call again later",
}


class Admission:
    """Judges callers and presentation contexts.

    Parameters
    ----------
    settings : ScpSettings
        How we listen.
    with_commitment : bool
        Whether storage commitment is served.
    """

    def __init__(self, settings: ScpSettings, *, with_commitment: bool) -> None:
        self.maximum_pdu = settings.maximum_pdu
        self._ae_title = settings.ae_title
        self._callers = KnownCallers(settings.callers)
        self._reporters = KnownCallers(settings.reporters)
        self._storage = frozenset(settings.storage_classes)
        self._services = frozenset({VERIFICATION, *([PUSH_MODEL] if with_commitment else [])})
        others = [each for each in settings.transfer_syntaxes if each not in _PREFERRED]
        preferred = [each for each in _PREFERRED if each in settings.transfer_syntaxes]
        self._transfer_syntaxes = (*preferred, *others)
        self._contexts = {uid: self._context(uid) for uid in (*self._storage, VERIFICATION, PUSH_MODEL)}

    def objection(self, line: Line) -> tuple[str, tuple[int, int, int]] | None:
        """Return why a caller is not served, in words and as an A-ASSOCIATE-RJ; None where it is."""
        called = line.called_ae_title
        misdialed = (
            f'caller sent called AE "{called}", we are "{self._ae_title}"' if called != self._ae_title else ""
        )
        proved = line.certificate
        names = None if proved is None else proved.names
        unknown = self._callers.objection(line.calling_ae_title, line.host, names)
        if unknown and not self._reporters.objection(line.calling_ae_title, line.host, names):
            unknown, line.only_reports = "", True
        if unknown:
            return "; ".join(filter(None, (unknown, misdialed))), CALLING_AE_TITLE_NOT_RECOGNIZED
        if misdialed:
            return f"{misdialed}: correct the AE title in the caller", CALLED_AE_TITLE_NOT_RECOGNIZED
        return None

    def takes(self, abstract_syntax: str, *, only_reports: bool) -> bool:
        """Tell whether a service is for such a caller."""
        stores = abstract_syntax in self._storage and not only_reports
        return stores or abstract_syntax in self._services

    def is_ordinary(self, request: pdu.Request) -> bool:
        """Tell whether a request is for services that need no negotiation of roles."""
        return PUSH_MODEL not in self._services or all(
            each.abstract_syntax != PUSH_MODEL for each in request.contexts
        )

    def supported(self, proposed: Iterable[str], *, only_reports: bool) -> list[PresentationContext]:
        """Return contexts for pynetdicom, for what was proposed only: their number is the cost."""
        taken = dict.fromkeys(uid for uid in proposed if self.takes(uid, only_reports=only_reports))
        return [self._contexts[uid] for uid in taken]

    def answers(self, request: pdu.Request, *, only_reports: bool) -> list[pdu.Answered]:
        """Answer each proposed presentation context of an ordinary request."""
        return [self._answer(each, only_reports) for each in request.contexts]

    def _answer(self, proposed: pdu.Proposed, only_reports: bool) -> pdu.Answered:
        offered = proposed.transfer_syntaxes
        ours = next((each for each in self._transfer_syntaxes if each in offered), None)
        if not self.takes(proposed.abstract_syntax, only_reports=only_reports):
            result = pdu.ABSTRACT_SYNTAX_NOT_SUPPORTED
        else:
            result = pdu.ACCEPTED if ours else pdu.TRANSFER_SYNTAXES_NOT_SUPPORTED
        # not significant where the context is not accepted (PS3.8 9.3.3.2)
        chosen = ours if result == pdu.ACCEPTED and ours else offered[0]
        return pdu.Answered(proposed.context_id, proposed.abstract_syntax, result, chosen)

    def _context(self, uid: str) -> PresentationContext:
        context = PresentationContext()
        context.abstract_syntax = UID(uid)
        context.transfer_syntax = [UID(each) for each in self._transfer_syntaxes]
        if uid == PUSH_MODEL:  # either side may report (PS3.4 J.3.3.1)
            # its data sets are read in memory: deflated, 16 MB would become 16 GB there
            context.transfer_syntax = [UID(each) for each in _PREFERRED]
            context.scu_role = context.scp_role = True
        return context
