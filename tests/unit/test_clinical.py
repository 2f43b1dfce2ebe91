"""Clinical data from file to result: matched, stored or refused as a whole, found again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.errors import InvalidClinicalFile
from tbsnode.model import ClinicalContext, Factor, InstanceIdentity, StudyState
from tbsnode.pipeline import clinical
from tbsnode.pipeline.clinical import Imported, Importer
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, schema
from tbsnode.store import clinical as records
from tbsnode.store.database import Database
from tests import schemas
from tests.peers import Postgres
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept
from tests.unit.test_clinical_file import CELLS, WHOLE

WHO = Importer(login="anna", host="desk")
HEAD = "patient_id,issuer,accession_number,source,previous_fracture,fracture_sites,menopausal_status"
Import = Callable[..., Imported]


BOTH = pytest.mark.parametrize(
    "site", ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True
)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A catalogue with P1 (accessions A1 and A2), P2 of two issuers, and a man."""
    if getattr(request, "param", "sqlite") == "sqlite":
        url = schemas.fill_sqlite(tmp_path / "tbsnode.db")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = schemas.fresh_postgresql(server)
    database = Database(url)
    made = cast("Site", SimpleNamespace(database=database, policy=SimpleNamespace(max_study_age_days=30000)))
    for number, (patient_id, issuer, sex) in enumerate(
        [("P1", "", "F"), ("P1", "", "F"), ("P2", "X", "F"), ("P2", "Y", "F"), ("M1", "X", "M")], start=1
    ):
        arrive(made, number, patient_id, issuer, sex)
    yield made
    database.dispose()


def person(number: int, patient_id: str, issuer: str = "", sex: str = "F") -> InstanceIdentity:
    return replace(
        IDENTITY,
        sop_instance_uid=f"1.2.{number}.4",
        study_instance_uid=f"1.2.{number}",
        accession_number=f"A{number}",
        demographics=replace(IDENTITY.demographics, patient_id=patient_id, issuer=issuer, sex=sex),
    )


def arrive(site: Site, number: int, patient_id: str, issuer: str = "", sex: str = "F") -> InstanceIdentity:
    """A study with accession number A<number> that has been analyzed."""
    identity = person(number, patient_id, issuer, sex)
    with site.database.transaction() as tx:
        study_id = catalogue.add_instance(tx, identity, kept(identity), ORIGIN).study_ref
        catalogue.update_study(tx, study_id, state=StudyState.DONE.value)
    return identity


@pytest.fixture
def take(site: Site, tmp_path: Path) -> Import:
    """Import lines of a table, or any other text."""

    def imported(*lines: str, **how: Any) -> Imported:
        path = tmp_path / "declared.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return clinical.import_file(site, path, replace(WHO, **how))

    return imported


def waiting(site: Site) -> set[str]:
    """Study UIDs that are due, or will be."""
    with site.database.read() as tx:
        return {row.study_instance_uid for row in tx.all(schema.study.select()) if row.ready_at is not None}


def everything(site: Site) -> list[Any]:
    """Return all rows that an import might touch."""
    with site.database.read() as tx:
        tables = (schema.clinical, schema.event, schema.study)
        return [[tuple(row) for row in tx.all(table.select().order_by(table.c.id))] for table in tables]


# ---- what is imported ---------------------------------------------------------------------------------


def test_by_hand(site: Site, take: Import) -> None:
    made = take(HEAD, "P1,,A2,letter,yes,wrist,post")
    assert (made.records, made.added, made.study_instance_uids) == (1, 1, ("1.2.2",))
    context = clinical.context_of(site, person(2, "P1"))
    assert context == ClinicalContext(
        present=(Factor.PREVIOUS_FRACTURE,),
        fracture_sites=("wrist",),
        menopausal_status="post",
        source="letter",
    )
    assert clinical.context_of(site, person(1, "P1")) is None  # another examination
    assert waiting(site) == {"1.2.2"}


@BOTH
def test_every_field_survives_the_database(site: Site, take: Import) -> None:
    cells = {**CELLS, "patient_id": "P2", "issuer": "Y", "accession_number": "A4"}
    take(";".join(cells), ";".join(f'"{cell}"' for cell in cells.values()))
    assert clinical.context_of(site, person(4, "P2", "Y")) == WHOLE
    (row,) = clinical.listed(site, patient_id="P2")
    assert row.context == WHOLE
    assert row.imported_by == "anna@desk"
    assert records.from_json(json.loads(json.dumps(records.to_json(WHOLE)))) == WHOLE


@BOTH
def test_the_examination_goes_before_the_patient(site: Site, take: Import) -> None:
    made = take(HEAD, "P1,,A2,letter,no,,", "P1,,,questionnaire,yes,,")
    assert set(made.study_instance_uids) == {"1.2.1", "1.2.2"}
    told = [clinical.context_of(site, person(number, "P1")) for number in (1, 2, 9)]
    assert [context and context.source for context in told] == ["questionnaire", "letter", "questionnaire"]


@BOTH
def test_a_newer_import_supersedes_and_an_equal_one_changes_nothing(site: Site, take: Import) -> None:
    lines = (HEAD, "P1,,,letter,yes,,")
    take(*lines)
    before = everything(site)
    again = take(*lines)
    assert (again.unchanged, again.study_instance_uids) == (1, ())
    assert everything(site) == before
    newer = take(HEAD, "P1,,,letter,yes,hip,")
    assert (newer.added, newer.superseded) == (0, 1)
    context = clinical.context_of(site, person(1, "P1"))
    assert context is not None
    assert context.fracture_sites == ("hip",)
    assert [row.state for row in clinical.listed(site, every=True)] == ["active", "superseded"]
    assert len(clinical.listed(site)) == 1


def test_an_empty_record_withdraws(site: Site, take: Import) -> None:
    take(HEAD, "P1,,,letter,yes,,", "P1,,A1,letter,no,,")
    take(HEAD, "P1,,A1,letter was of another patient,,,")
    assert clinical.context_of(site, person(1, "P1")) is None
    assert clinical.context_of(site, person(2, "P1")) is not None


def test_a_study_of_its_own_record_is_not_analyzed_again_for_its_patients(site: Site, take: Import) -> None:
    take(HEAD, "P1,,A1,letter,yes,,")
    assert take(HEAD, "P1,,,questionnaire,no,,").study_instance_uids == ("1.2.2",)


@pytest.mark.parametrize("state", list(StudyState))
def test_what_may_have_been_analyzed_without_it_is_analyzed_again(
    site: Site, take: Import, state: StudyState
) -> None:
    with site.database.transaction() as tx:
        study = catalogue.study_by_uid(tx, "1.2.1")
        assert study is not None
        catalogue.update_study(tx, study.id, state=state.value)
    take(HEAD, "P1,,A1,letter,yes,,")
    assert waiting(site) == ({"1.2.1"} if state in ("done", "queued", "running") else set())


def test_a_study_too_old_to_be_published_keeps_its_report(site: Site, take: Import) -> None:
    site.policy.max_study_age_days = -1  # type: ignore[misc]
    assert take(HEAD, "P1,,A1,letter,yes,,").study_instance_uids == ()


def test_a_dry_run_says_what_would_be_done(site: Site, take: Import) -> None:
    before = everything(site)
    made = take(HEAD, "P1,,A1,letter,yes,,", dry_run=True)
    assert (made.added, made.study_instance_uids, made.dry_run) == (1, ("1.2.1",), True)
    assert everything(site) == before


def test_the_audit_names_who_imported_and_nobody_else(site: Site, take: Import) -> None:
    take(HEAD, "P1,,A1,letter,yes,,", "P2,X,,letter,yes,,")
    with site.database.read() as tx:
        (event,) = [each for each in audit.recent_events(tx) if each.action == "clinical.imported"]
        (changed,) = [e for e in audit.events_of_study(tx, "1.2.3") if e.action == "clinical.changed"]
    assert {
        "records": 2,
        "added": 2,
        "studies": 2,
        "login": "anna",
        "host": "desk",
    }.items() <= event.data.items()
    told = event.text + str(event.data) + changed.text
    assert not any(word in told for word in ("P1", "P2", "A1", "letter", "fracture"))


# ---- ahead ------------------------------------------------------------------------------------------


@BOTH
def test_ahead_of_the_study(site: Site, take: Import) -> None:
    take(HEAD, "P9,,A9,letter,yes,,", ahead=True)
    assert clinical.context_of(site, person(9, "P9", "CLINIC")) is not None  # before its first instance
    identity = arrive(site, 9, "P9", "CLINIC")
    assert clinical.context_of(site, identity) is not None
    # what arrives later knows the issuer, and still supersedes
    assert take(HEAD, "P9,,A9,letter,no,,").superseded == 1
    assert len(clinical.listed(site, patient_id="P9")) == 1


def test_ahead_without_issuer_holds_for_one_person_only(site: Site, take: Import) -> None:
    take(HEAD, "P9,,,letter,yes,,", ahead=True)
    first = arrive(site, 9, "P9", "CLINIC")
    assert clinical.context_of(site, first) is not None
    second = arrive(site, 10, "P9", "OTHER")
    assert clinical.context_of(site, first) is None
    assert clinical.context_of(site, second) is None
    told = take(HEAD, "P9,OTHER,,letter,no,,")
    assert (told.added, told.superseded) == (1, 0), "whose the first was, is not known"


def test_another_issuers_patient_gets_nothing(site: Site, take: Import) -> None:
    take(HEAD, "P2,X,,letter,yes,,")
    assert clinical.context_of(site, person(3, "P2", "X")) is not None
    assert clinical.context_of(site, person(4, "P2", "Y")) is None
    assert clinical.context_of(site, person(5, "", "X")) is None


# ---- what is refused ----------------------------------------------------------------------------------

UNMATCHED: dict[str, tuple[list[str], list[tuple[int, str]]]] = {
    "unknown patient": (["P1,,,x,yes,,", "P3,,,x,yes,,"], [(3, "patient_id")]),
    "unknown patient and accession": (["P3,,A99,x,yes,,"], [(2, "patient_id")]),
    "unknown issuer": (["P1,Z,,x,yes,,"], [(2, "patient_id")]),
    "unknown accession": (["P1,,A99,x,yes,,"], [(2, "accession_number")]),
    "accession of another patient": (["P1,,A3,x,yes,,"], [(2, "accession_number")]),
    "accession of another issuer": (["P2,X,A4,x,yes,,"], [(2, "accession_number")]),
    "two issuers": (["P2,,,x,yes,,"], [(2, "patient_id")]),
    "duplicate row": (["P1,,A1,x,yes,,", "P1,,,x,yes,,", "P1,,A1,y,no,,"], [(4, "accession_number")]),
    "duplicate by issuer": (["P2,,A3,x,yes,,", "P2,X,A3,x,yes,,"], [(3, "accession_number")]),
    "nothing declared": (["P1,,,x,,,"], [(2, "patient_id")]),
    "menopausal man": (["M1,,,x,,,post"], [(2, "menopausal_status")]),
    "all at once": (
        ["P3,,,x,yes,,", "P1,,A1,x,perhaps,,", "P1,,A3,,yes,,"],
        [(2, "patient_id"), (3, "previous_fracture"), (4, "source"), (4, "accession_number")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "wrong"), UNMATCHED.values(), ids=UNMATCHED)
def test_one_mistake_and_nothing_is_stored(
    site: Site, take: Import, lines: list[str], wrong: list[tuple[int, str]]
) -> None:
    take(HEAD, "P1,,A2,earlier,yes,,")
    before = everything(site)
    with pytest.raises(InvalidClinicalFile) as raised:
        take(HEAD, *lines)
    assert [(mistake.line, mistake.field) for mistake in raised.value.mistakes] == wrong
    assert all(mistake.problem and mistake.remedy for mistake in raised.value.mistakes)
    assert everything(site) == before


@pytest.mark.parametrize(
    ("line", "said"), [("P1,Z,,x,yes,,", "not of this issuer"), ("P3,Z,,x,yes,,", "of no patient")]
)
def test_a_patient_of_another_issuer_is_told_from_nobody(take: Import, line: str, said: str) -> None:
    with pytest.raises(InvalidClinicalFile) as raised:
        take(HEAD, line)
    assert said in raised.value.mistakes[0].problem


@pytest.mark.parametrize("line", ["P1,,A3,x,yes,,", "P2,,,x,yes,,", "M1,,,x,,,post"])
def test_ahead_excuses_only_what_is_not_here(take: Import, line: str) -> None:
    with pytest.raises(InvalidClinicalFile):
        take(HEAD, line, ahead=True)
