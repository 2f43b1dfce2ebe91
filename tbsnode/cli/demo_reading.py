"""The reader's part of the demonstration: an earlier scan, a referral, and a signature.

They are simulated as everything else in it. Whoever runs the demonstration signs, under their own login.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.errors import NotAReviewer

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from tbsnode.dicom.acquisition import Options, PatientTags
    from tbsnode.pipeline.site import Site

YEARS = 2  # between the two scans
_REFERRAL = """\
patient_id,source,previous_fracture,fracture_sites,glucocorticoids,frax_major_percent,frax_hip_percent,\
frax_with_bmd,spine_bmd_g_cm2,spine_t_score,total_hip_left_bmd_g_cm2,total_hip_left_t_score,\
femoral_neck_left_bmd_g_cm2,femoral_neck_left_t_score
{patient_id},SIMULATED referral,yes,wrist,no,14.0,2.5,yes,0.912,-1.7,0.834,-1.3,0.731,-1.9
"""


def configuration() -> str:
    """Return the table that lets whoever runs the demonstration sign."""
    from tbsnode.pipeline import acting

    name = acting.login()
    if not name:
        return ""
    reviewer = f'{{ login = "{name}", name = "Reader^Simulated", organization = "Demonstration" }}'
    return f"[interpretation]\nreviewers = [{reviewer}]\n"


def earlier(patient: PatientTags, today: date, *, seed: int, options: Options) -> bytes:
    """Return a scan of the same spine by the same scanner, some years ago."""
    from tbsnode.dicom import acquisition

    day = today.replace(year=today.year - YEARS, day=min(today.day, 28)).strftime("%Y%m%d")
    same_spine = replace(options, anatomy_seed=seed)
    (part10,) = acquisition.study(
        "raw", patient=patient, seed=seed + 1000, study_date=day, options=same_spine
    )
    return part10


def declare(site: Site, folder: Path, patient_id: str) -> None:
    """Import what a referral says; the study is analyzed again for it."""
    from tbsnode.pipeline import acting, clinical

    path = folder / "referral.csv"
    path.write_text(_REFERRAL.format(patient_id=patient_id), encoding="utf-8")
    clinical.import_file(site, path, clinical.Importer(login=acting.login() or "demo", host="demo"))


def sign(site: Site, uid: str) -> str:
    """Sign the result as it is; return by whom, empty where this account may not."""
    from tbsnode.pipeline import sign as signing

    try:
        done = signing.accept(site, uid, comment="Signed in the demonstration")
    except NotAReviewer:
        return ""
    return f"{done.login}, version {done.version}"
