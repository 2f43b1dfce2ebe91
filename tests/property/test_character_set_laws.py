"""Whatever a person writes comes back from the document, and so does the patient's name."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from tbsnode.dicom import rejection, self_check
from tbsnode.model import RejectionReason, Reviewer
from tests import reported, sources
from tests.reading import child

PATIENTS = {
    "ISO_IR 100": "Müller^Jürgen",
    "ISO_IR 144": "Щербаков^Пётр",
    "ISO_IR 192": "Müller^山田",
    "GB18030": "Wang^XiaoDong=王^小东",
    "ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
}
# letters of every script these patients have, and of some that they do not
LETTERS = st.one_of(
    st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_categories=("Cc", "Cs")),
    st.characters(min_codepoint=0x370, max_codepoint=0x52F, exclude_categories=("Cn", "Cs")),
    st.characters(min_codepoint=0x3041, max_codepoint=0x30FF, exclude_categories=("Cn", "Cs")),
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA0),
    st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
)
WORDS = st.text(LETTERS, min_size=1, max_size=30)
NAMES = st.text(LETTERS.filter(lambda letter: letter not in "\\^="), min_size=1, max_size=30)


@pytest.fixture(scope="module", params=list(PATIENTS))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    term = request.param
    charset: Any = ["", term] if term.startswith("ISO 2022") else term
    ds = sources.spine(SpecificCharacterSet=charset, PatientName=PATIENTS[term])
    return sources.write(tmp_path_factory.mktemp("law") / "s.dcm", ds), PATIENTS[term]


@given(name=NAMES, comment=WORDS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_and_names_come_back(source: tuple[Path, str], name: str, comment: str) -> None:
    path, patient = source
    withdrawn = reported.report(reported.scored(path)).source
    review = reported.rejected(
        RejectionReason.QUALITY,
        reviewer=Reviewer(login="x", name=f"{name}^J"),
    )
    review = reported.replace(review, comment=comment)
    made = rejection.build((withdrawn,), review, reported.MADE, path, digest="ab")
    assert self_check.check(made) == ()
    ds = dcmread(BytesIO(made.part10))
    assert str(ds.PatientName) == patient
    assert child(ds, "113012").TextValue.rstrip() == comment.rstrip()
    stated = child(ds, "121008").PersonName
    found = [group for group in (stated.alphabetic, stated.ideographic, stated.phonetic) if group]
    assert found == [f"{name}^J"]
