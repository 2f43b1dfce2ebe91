"""What the findings about review, follow-up and identity of earlier examinations say in English."""

from __future__ import annotations

from tbsnode.reasons import Code
from tbsnode.text.catalogue import Entry

REVIEW_ENTRIES: dict[Code, Entry] = {
    Code.AWAITING_SIGNATURE: Entry(
        "This destination gets signed results only, and nobody has signed this one.",
        "Reading physician: `tbsnode study accept`, `correct` or `reject`.",
    ),
    Code.NEEDS_RE_REVIEW: Entry(
        "The result has changed since a physician signed or rejected it; nothing is sent by itself.",
        "Reading physician: look at it, then `tbsnode study accept`, `correct` or `reject`.",
    ),
    Code.QUARANTINED: Entry(
        "An administrator has put this study into quarantine: nothing is computed or sent.",
        "Administrator: `tbsnode study release UID`, or `study purge UID`.",
    ),
    Code.REFUSALS_PAUSED: Entry(
        "This scanner's studies were refused for the same reason many times in a row; its refusals are "
        "stored and not reported until a study is scored.",
        "Administrator: `tbsnode check` names the reason; mend it at the scanner, or "
        "`tbsnode study refusals --resume SCANNER`.",
    ),
    Code.EXCLUDED_BY_REVIEWER: Entry(
        "{level} is left out: the reviewing physician excluded it.",
        "Reading physician: `tbsnode study correct` decides otherwise.",
    ),
    Code.CORRECTED_BY_REVIEWER: Entry(
        "The reviewing physician corrected regions, labels or the choice of the image; the numbers were "
        "computed again.",
        "Nobody has to act. The reviewer is named in the report.",
        ("{detail}.",),
    ),
    Code.PRIOR_IDENTITY: Entry(
        "An earlier examination has the same patient ID and another issuer, birth date or sex, or none that "
        "proves it is the same patient. It is left out of the trend.",
        "Administrator: find out whose it is, and correct the records.",
        ("Differs in: {detail}.",),
    ),
    Code.PRIORS_NOT_FETCHED: Entry(
        "Earlier examinations could not be looked for at the PACS.",
        "Administrator: `tbsnode peer echo`, and the query and move rights of this node at the PACS.",
        ("{detail}.",),
    ),
    Code.FETCHED_PRIOR: Entry(
        "This study was fetched from the PACS as an earlier examination; it is not reported.",
        "Nobody has to act.",
    ),
}
