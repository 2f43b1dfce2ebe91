"""Who observed and who answers for it: observer context (TID 1002) and verification (PS3.3 C.17.2).

The software is the device observer of every document. Once somebody has reviewed a result, that person
stands beside it as an observer who verifies: also an accepted result carries the reviewer's own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset

from tbsnode import text
from tbsnode.dicom import codes, content, context
from tbsnode.dicom.character_set import encode_name, encode_text
from tbsnode.dicom.content import OBSERVATION_CONTEXT, Item
from tbsnode.dicom.identity import MODEL_NAME
from tbsnode.dicom.part10 import Header
from tbsnode.model import Provenance, Review

_LONG_STRING = 64  # characters of an LO (PS3.5 6.2)


def device(made: Provenance) -> Iterator[Item]:
    """Yield the software as device observer (TID 1004)."""
    yield content.code(codes.OBSERVER_TYPE, codes.DEVICE, OBSERVATION_CONTEXT)
    yield content.uid_reference(codes.DEVICE_OBSERVER_UID, made.device_uid, OBSERVATION_CONTEXT)
    for concept, value in (
        (codes.DEVICE_OBSERVER_NAME, made.station),
        (codes.DEVICE_OBSERVER_MANUFACTURER, context.MANUFACTURER),
        (codes.DEVICE_OBSERVER_MODEL, MODEL_NAME),
        (codes.DEVICE_OBSERVER_SERIAL, made.serial_number),
    ):
        if value:
            yield content.text(concept, value, OBSERVATION_CONTEXT)


def person(review: Review, made: Provenance, encodings: Sequence[str]) -> Iterator[Item]:
    """Yield the reviewer as person observer (TID 1003)."""
    who = review.reviewer
    yield content.code(codes.OBSERVER_TYPE, codes.PERSON, OBSERVATION_CONTEXT)
    yield content.person(codes.PERSON_OBSERVER_NAME, who.name, encodings, OBSERVATION_CONTEXT)
    yield content.words(codes.PERSON_OBSERVER_LOGIN, who.login, encodings, OBSERVATION_CONTEXT)
    yield content.words(
        codes.PERSON_OBSERVER_ORGANIZATION, organization(review, made), encodings, OBSERVATION_CONTEXT
    )
    yield content.code(codes.PERSON_OBSERVER_ROLE, codes.VERIFYING, OBSERVATION_CONTEXT)


def organization(review: Review, made: Provenance) -> str:
    """Return for whom the reviewer answers: as configured, else the site, else that nobody said."""
    return review.reviewer.organization or made.institution or text.phrase("not_stated")


def names(review: Review, made: Provenance) -> tuple[str, str]:
    """Return the reviewer's name and organization, for the choice of a character set."""
    return review.reviewer.name, organization(review, made)


def written(review: Review) -> Iterator[str]:
    """Yield every further word of a review that a person chose."""
    yield from (review.reviewer.login, review.host, review.comment)
    for change in review.changes:
        yield from (change.what, context.readable(change.before), context.readable(change.after))


def verify(ds: Dataset, review: Review, made: Provenance, header: Header) -> None:
    """Mark a document as final and verified by the reviewer.

    Parameters
    ----------
    ds : Dataset
        The document.
    review : Review
        Who signed, and when.
    made : Provenance
        Names the site where the reviewer's organization is not configured.
    header : Header
        Of the source, in the document's character set.
    """
    ds.PreliminaryFlag = "FINAL"
    ds.VerificationFlag = "VERIFIED"
    item = Dataset()
    name = encode_name(review.reviewer.name, header.encodings)
    context.put(item, "VerifyingObserverName", name)
    stated = organization(review, made).replace("\\", "/")[:_LONG_STRING]
    context.put(item, "VerifyingOrganization", encode_text(stated, header.encodings))
    item.VerificationDateTime = context.local(header, review.at).strftime("%Y%m%d%H%M%S%z")
    # nobody's identification is known here, and none is invented
    item.VerifyingObserverIdentificationCodeSequence = []
    ds.VerifyingObserverSequence = [item]
