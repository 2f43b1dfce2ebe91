"""Who may sign what: every cell of the table of states, the login that decides, two acts at once."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.errors import ConfigError, NotAReviewer, ReviewRefused, TbsNodeError
from tbsnode.model import (
    Change,
    Corrections,
    RejectionReason,
    Review,
    ReviewAction,
    Reviewer,
    ReviewState,
    StudyState,
)
from tbsnode.pipeline import acting, acts
from tbsnode.pipeline.acts import LONGEST_COMMENT, worded
from tbsnode.pipeline.changes import changes
from tbsnode.pipeline.review import TRANSITIONS, ReviewEvent, acting_reviewer, next_state
from tbsnode.pipeline.site import Policy
from tbsnode.store import catalogue, reviews, schema
from tbsnode.store.database import Database, Transaction
from tbsnode.store.records import StudyRow
from tests.unit.store.conftest import IDENTITY, ORIGIN, database, kept, sqlite_url

__all__ = ["database", "sqlite_url"]

# The table as a person would draw it: a row for each state, "-" for what is refused.
#               published    changed          as_signed as_rejected accept  correct reject
DRAWN = """
none            preliminary  -                -         -           -       -       -
preliminary     -            preliminary      -         -           signed  signed  rejected
signed          -            needs_re_review  -         -           -       signed  rejected
needs_re_review -            needs_re_review  signed    rejected    signed  signed  rejected
rejected        -            needs_re_review  -         -           -       signed  -
"""
EVENTS = ("published", "changed", "as_signed", "as_rejected", "accept", "correct", "reject")
CELLS = [
    (state, event, after)
    for state, *afters in (line.split() for line in DRAWN.strip().splitlines())
    for event, after in zip(EVENTS, afters, strict=True)
]


@pytest.mark.parametrize(("state", "event", "after"), CELLS)
def test_every_cell_of_the_table(state: str, event: str, after: str) -> None:
    if after != "-":
        assert next_state(ReviewState(state), ReviewEvent(event)) is ReviewState(after)
        return
    with pytest.raises(ReviewRefused) as refused:
        next_state(ReviewState(state), ReviewEvent(event))
    assert refused.value.remedy, "it says who must act"
    assert (ReviewState(state), ReviewEvent(event)) not in TRANSITIONS


def test_the_drawing_has_every_state_and_event() -> None:
    assert {cell[:2] for cell in CELLS} == {(s.value, e.value) for s in ReviewState for e in ReviewEvent}


REFUSED = [(s, e) for s, e, after in CELLS if after == "-" and e in ("accept", "correct", "reject")]


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_a_refused_act_names_a_person_who_can_go_on(state: str, event: str) -> None:
    """What people do is never answered with a request to report a fault."""
    with pytest.raises(ReviewRefused) as refused:
        next_state(ReviewState(state), ReviewEvent(event))
    assert refused.value.remedy.startswith(("Reading physician:", "Administrator:"))


#                sign        reject      sign, due again  reject, due again
AT_REST = """
receiving        at_work     at_work     at_work          at_work
queued           at_work     at_work     at_work          at_work
running          at_work     at_work     at_work          at_work
done             may         may         at_work          at_work
not_applicable   nothing     may         at_work          at_work
held             nothing     may         at_work          at_work
failed           nothing     may         at_work          at_work
"""


@pytest.mark.parametrize("line", AT_REST.strip().splitlines(), ids=lambda line: line.split()[0])
def test_what_is_at_work_or_held_is_not_signed_and_what_is_held_may_be_rejected(line: str) -> None:
    """The result of a study under analysis may change in a moment; a held one waits for another decision."""
    state, *expected = line.split()
    got = []
    for ready_at in (None, 1e9):
        for event in (ReviewEvent.ACCEPT, ReviewEvent.REJECT):
            study = SimpleNamespace(
                state=StudyState(state), ready_at=ready_at, reason="SHADOW_MODE", last_error=""
            )
            try:
                acts._require_rest(cast("StudyRow", study), event)
                got.append("may")
            except ReviewRefused as refused:
                got.append("nothing" if "nothing can be signed" in str(refused) else "at_work")
    assert got == expected


def test_a_failed_study_that_cannot_be_signed_says_what_failed() -> None:
    study = SimpleNamespace(state=StudyState.FAILED, ready_at=None, reason="", last_error="out of memory")
    with pytest.raises(ReviewRefused, match=r"failed; nothing can be signed\. out of memory"):
        acts._require_rest(cast("StudyRow", study), ReviewEvent.CORRECT)


def test_whoever_comes_second_reads_who_was_first() -> None:
    with pytest.raises(ReviewRefused, match="already signed by jdoe") as refused:
        next_state(ReviewState.SIGNED, ReviewEvent.ACCEPT, known="The result is already signed by jdoe.")
    assert "study correct" in refused.value.remedy


# ---- who may sign -------------------------------------------------------------------------------

ME = acting.login()


def policy(*logins: str) -> Policy:
    listed = tuple(Reviewer(login=login, name="Doe^Jane", organization="Clinic") for login in logins)
    return cast("Policy", SimpleNamespace(reviewers=listed))


def test_the_owner_of_the_process_signs_if_listed() -> None:
    reviewer, host = acting_reviewer(policy("somebody", ME))
    assert (reviewer.login, reviewer.name, host) == (ME, "Doe^Jane", socket.gethostname())


@pytest.mark.parametrize("listed", [(), ("somebody",), (ME.upper() + "x",)])
def test_nobody_else_does(listed: tuple[str, ...]) -> None:
    with pytest.raises(NotAReviewer) as refused:
        acting_reviewer(policy(*listed))
    assert ME in refused.value.message
    assert "interpretation" in refused.value.remedy
    assert isinstance(refused.value, ConfigError)


@pytest.mark.parametrize("variable", ["USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER"])
def test_no_environment_variable_names_another_person(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "jdoe")
    with pytest.raises(NotAReviewer):
        acting_reviewer(policy("jdoe"))


def test_an_account_without_a_name_may_not_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "account", lambda: 2**31 - 7)
    with pytest.raises(NotAReviewer, match="no login name"):
        acting_reviewer(policy("nobody-at-all"))


@pytest.mark.parametrize(
    ("said", "kept_as"), [("", ""), ("  wrong\n level ", "wrong level"), ("Länge  geprüft", "Länge geprüft")]
)
def test_a_comment_is_one_line(said: str, kept_as: str) -> None:
    assert worded(said) == kept_as


@pytest.mark.parametrize("said", ["x" * (LONGEST_COMMENT + 1), "a\x07b", "a\udcffb"])
def test_a_comment_that_nothing_can_hold_is_refused(said: str) -> None:
    with pytest.raises(ReviewRefused):
        worded(said)


def test_whoever_corrects_says_why() -> None:
    with pytest.raises(ReviewRefused, match="says why"):
        worded("  ", required=True)


# ---- what stands in the database ----------------------------------------------------------------

ACT = Review(
    action=ReviewAction.CORRECT,
    reviewer=Reviewer(login="jdoe", name="Doe^Jane", organization="Clinic"),
    host="reading-1",
    at=datetime(2026, 11, 2, 10, 30, 1, 250000, tzinfo=UTC),
    version=2,
    comment="cement in L3",
    corrections=Corrections(exclude=("L3",), disc_rows=(("L2/L3", 143.5),), shift=1),
    image_uid="1.2.3.4",
    changes=(Change(what="levels", before="L1, L2, L3, L4", after="L1, L2, L4"),),
)
ACCEPTED = replace(
    ACT, action=ReviewAction.ACCEPT, version=1, corrections=Corrections(), image_uid="", changes=()
)
REJECTED = replace(ACT, action=ReviewAction.REJECT, rejection=RejectionReason.SAFETY, changes=())


def study_in(tx: Transaction) -> StudyRow:
    """Add a study that is done and preliminary."""
    row = catalogue.add_instance(tx, IDENTITY, kept(IDENTITY), ORIGIN)
    tx.execute(schema.study.update().values(state="done", review_state="preliminary", generation=1))
    found = catalogue.study_by_id(tx, row.study_ref)
    assert found is not None
    return found


def analysis_in(tx: Transaction, study_id: int) -> int:
    values: dict[str, Any] = {"status": "scored", "version": "0", "result": {}, "created_at": tx.now}
    return tx.add(schema.analysis, study_ref=study_id, generation=1, **values)


@pytest.mark.parametrize("act", [ACT, ACCEPTED, REJECTED], ids=lambda act: act.action.value)
def test_an_act_comes_back_as_it_went_in(database: Database, act: Review) -> None:
    with database.transaction() as tx:
        study = study_in(tx)
        made = analysis_in(tx, study.id)
        reviews.add_review(tx, study.id, made, act, "1.2.3.4")
    with database.read() as tx:
        found = reviews.latest(tx, study.id)
    assert found is not None
    assert (found.review, found.analysis_ref) == (act, made)
    assert found.standing == reviews.Standing(
        corrections=act.corrections, corrected_image="1.2.3.4", image_uid=act.image_uid
    )


def test_what_is_rejected_and_what_is_signed(database: Database) -> None:
    with database.transaction() as tx:
        study = study_in(tx)
        first, second = analysis_in(tx, study.id), analysis_in(tx, study.id)
        assert reviews.standing(tx, study.id) == reviews.Standing()
        assert not reviews.is_rejected(tx, study.id)
        reviews.add_review(tx, study.id, first, ACCEPTED)
        assert (reviews.is_signed(tx, first), reviews.is_signed(tx, second)) == (True, False)
        reviews.add_review(tx, study.id, first, REJECTED)
        assert reviews.rejected_studies(tx, (study.id, study.id + 1)) == {study.id}
        withdrawn = reviews.withdrawal(tx, study.id)
        assert withdrawn is not None
        assert withdrawn.analysis_ref == first
        reviews.add_review(tx, study.id, second, ACT)
        assert not reviews.is_rejected(tx, study.id)


def test_a_study_moves_only_as_it_was_seen(database: Database) -> None:
    with database.transaction() as tx:
        study = study_in(tx)
        made = analysis_in(tx, study.id)

    def moves(seen: StudyRow, newest: int = 0) -> bool:
        with database.transaction() as tx:
            return reviews.move(tx, seen, ReviewState.SIGNED, newest_review_id=newest)

    assert not moves(replace(study, generation=2)), "it was analyzed again"
    assert not moves(replace(study, review_state=ReviewState.SIGNED)), "somebody acted"
    with database.transaction() as tx:
        tx.execute(schema.study.update().values(ready_at=tx.now + 30))
    assert not moves(study), "an instance has just arrived"
    with database.transaction() as tx:
        tx.execute(schema.study.update().values(ready_at=None))
    assert moves(study)
    signed = replace(study, review_state=ReviewState.SIGNED)
    with database.transaction() as tx:
        act = reviews.add_review(tx, study.id, made, ACCEPTED)
    assert not moves(signed, newest=0), "a correction of what was signed meanwhile"
    assert moves(signed, newest=act)


# ---- what changed -------------------------------------------------------------------------------


def level(label: str, *, included: bool = True, area: float = 1000.4, top: float = 1.0) -> dict[str, Any]:
    ring = [[top, 5.0], [top, 14.5], [top + 4, 14.5], [top, 5.0]]
    return {"label": label, "included": included, "area_mm2": area, "region": ring}


def densities(*sites: tuple[str, str, float | None]) -> dict[str, Any]:
    numbers = {"bmd_g_cm2": 0.7, "z_score": 0.1}
    rows = [{"site": site, "side": side, "t_score": t, **numbers} for site, side, t in sites]
    return {"source": "import", "sites": rows}


def lowest(diagnosis: str, site: str) -> dict[str, Any]:
    return {"diagnosis": diagnosis, "site": site, "score": -2.8, "uses_z_score": False}


def earlier(difference: float, tbs_difference: float | None) -> dict[str, Any]:
    stated = {"difference": difference, "tbs_difference": tbs_difference}
    return {"examined_on": "20240115", "comparable": True, **stated}


RESULT: dict[str, Any] = {
    "status": "scored",
    "reason": None,
    "tbs": None,
    "tbs_see": None,
    "score": 1.25,
    "category": None,
    "borderline": None,
    "vertebrae": [level("L1"), level("L2"), level("L3")],
    "sop_instance_uid": "1.2.3.4",
    "image_sha256": "ab",
    "calibration": None,
    "clinical": None,
    "findings": [{"code": "SCANNER_UNCALIBRATED"}],
}
CALIBRATED = RESULT | {"tbs": 1.2345, "tbs_see": 0.041, "category": "normal", "calibration": "CAL-1"}


def told(**after: Any) -> dict[str, tuple[str, str]]:
    before = CALIBRATED if "tbs" in after or "category" in after or "borderline" in after else RESULT
    return {each.what: (each.before, each.after) for each in changes(before, before | after)}


def test_equal_results_differ_in_nothing() -> None:
    assert changes(RESULT, dict(RESULT)) == ()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"score": 1.2}, {"score": ("1.250", "1.200")}),
        ({"tbs": 1.3, "score": 1.2}, {"tbs": ("1.234 ± 0.041", "1.300 ± 0.041")}),
        (
            {"category": "partially_degraded"},
            {"category": ("normal microarchitecture", "partially degraded microarchitecture")},
        ),
        (
            {"category": None, "borderline": ["partially_degraded", "degraded"]},
            {
                "category": (
                    "normal microarchitecture",
                    "partially degraded microarchitecture or degraded microarchitecture",
                )
            },
        ),
        ({"sop_instance_uid": "1.2.3.5"}, {"image": ("1.2.3.4", "1.2.3.5")}),
        (
            {"vertebrae": [level("L1"), level("L2"), level("L3", included=False)]},
            {"levels": ("L1, L2, L3", "L1, L2")},
        ),
        (
            {"vertebrae": [level("L1"), level("L2", area=990.0, top=2.0), level("L3")]},
            {"regions": ("L2 1000 mm2", "L2 990 mm2")},
        ),
        (
            {"vertebrae": [level("L1"), level("L2", top=2.0), level("L3")]},
            {"regions": ("L2 1000 mm2", "L2 1000 mm2, outline moved")},
        ),
        ({"calibration": "CAL-2"}, {"calibration": ("", "CAL-2")}),
        (
            {"clinical": {"present": ["previous_fracture"], "absent": [], "frax": {"major": 0.12}}},
            {"clinical": ("", "present: previous fracture; frax major: 0.12")},
        ),
        (
            {"status": "refused", "reason": {"code": "MOVEMENT", "text": "..."}, "score": None},
            {"status": ("scored", "refused (MOVEMENT)"), "score": ("1.250", "")},
        ),
        (
            {
                "bmd_diagnosis": lowest("osteoporosis", "femoral_neck"),
                "other_densitometry": [
                    densities(("femoral_neck", "left", -2.8), ("total_hip", "left", None))
                ],
            },
            {
                "bmd": ("", "osteoporosis, lowest T-score -2.8 (femoral neck)"),
                "densities": (
                    "",
                    "femoral neck left 0.700 g/cm2 T-score -2.8 Z-score +0.1, "
                    "total hip left 0.700 g/cm2 Z-score +0.1",
                ),
            },
        ),
        (
            {
                "bmd_diagnosis": {
                    "diagnosis": "spine_only",
                    "site": "spine",
                    "score": -2.8,
                    "uses_z_score": True,
                }
            },
            {"bmd": ("", "Spine only: not a BMD diagnosis")},
        ),
        (
            {"clinical": {"present": ["falls"], "densitometry": densities(("L1-L4", "", -1.0))}},
            {
                "clinical": ("", "present: falls"),
                "densities": ("", "L1-L4 0.700 g/cm2 T-score -1.0 Z-score +0.1"),
            },
        ),
        (
            {"follow_up": {"priors": [earlier(-0.02, None)], "lsc": 0.03, "tbs_lsc": None}},
            {"trend": ("", "since 2024-01-15: does not exceed LSC")},
        ),
        (
            {"tbs": 1.2345, "follow_up": {"priors": [earlier(-0.02, -0.06)], "lsc": 0.03, "tbs_lsc": 0.05}},
            {"trend": ("", "-0.060 since 2024-01-15: exceeds LSC")},
        ),
        (
            {"follow_up": {"priors": [earlier(-0.02, None)], "lsc": None, "tbs_lsc": None}},
            {"trend": ("", "since 2024-01-15: not interpreted")},
        ),
        (
            {"frax": {"major": {"after_percent": 23.94}, "hip": {"after_percent": 5.29}, "finding": None}},
            {"frax": ("", "major osteoporotic 23.9 %, hip 5.3 %")},
        ),
        ({"z_score": -0.72}, {"z_score": ("", "-0.7")}),
        ({"site_percentile": 23.4}, {"percentile": ("", "23")}),
        (
            {"findings": [{"code": "FEW_LEVELS"}]},
            {"findings": ("SCANNER_UNCALIBRATED", "FEW_LEVELS")},
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_each_change_as_people_read_it(after: dict[str, Any], expected: dict[str, tuple[str, str]]) -> None:
    assert told(**after) == expected


def test_remarks_are_named_only_where_nothing_else_differs() -> None:
    assert list(told(score=1.2, findings=[])) == ["score"]


def test_outlines_of_two_pictures_are_not_compared() -> None:
    moved = {"image_sha256": "cd", "vertebrae": [level("L1", top=9.0), level("L2"), level("L3")]}
    assert told(**moved, sop_instance_uid="9") == {"image": ("1.2.3.4", "9")}


def test_the_errors_of_review_are_errors_of_the_program() -> None:
    assert issubclass(ReviewRefused, TbsNodeError)
    assert ReviewRefused.exit_code == 2
