"""``tbsnode clinical``: FRAX probabilities, risk factors and densities that no scanner sends."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbsnode.cli import options, output
from tbsnode.errors import InvalidClinicalFile

if TYPE_CHECKING:
    from tbsnode.model import ClinicalContext
    from tbsnode.pipeline.clinical import Imported
    from tbsnode.store.clinical import ClinicalRow

app = typer.Typer(
    help="What was declared about patients and examinations.", no_args_is_help=True, rich_markup_mode=None
)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV with a header line, or JSON.", exists=True, dir_okay=False)
]
Ahead = Annotated[
    bool, typer.Option("--ahead", help="Take records of patients and examinations that are not here yet.")
]
Patient = Annotated[str, typer.Option(metavar="ID", help="Patient ID.")]
Accession = Annotated[str, typer.Option(metavar="NUMBER", help="Accession number.")]
Every = Annotated[bool, typer.Option("--all", help="Also what a newer import superseded.")]

_SHOWN = ("patient_id", "issuer", "accession_number", "declared", "source", "state", "by", "imported_at")


@app.command("import")
def import_file(
    file: File,
    *,
    ahead: Ahead = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Import a file, all of it or nothing; exit 20 with every mistake by line and column.

    Records are matched by patient ID (and issuer) and accession number, never by name; patient_id and
    source are required. A newer record supersedes an older one, and the studies that it is about are
    analyzed again.
    """
    from tbsnode.pipeline import acting, clinical

    by = acting.administrator()
    importer = clinical.Importer(login=by.login, host=by.host, ahead=ahead, dry_run=dry_run)
    with options.site(config) as site:
        try:
            made = clinical.import_file(site, file, importer)
        except InvalidClinicalFile as error:
            if not as_json:
                raise
            output.as_json({"records": 0, "mistakes": [asdict(each) for each in error.mistakes]})
            raise typer.Exit(error.exit_code) from error
    if as_json:
        output.as_json({**asdict(made), "mistakes": []})
    else:
        typer.echo(_summary(made))


def _summary(made: Imported) -> str:
    counts = f"{made.added} new, {made.superseded} superseding older ones, {made.unchanged} unchanged"
    records = output.counted(made.records, "record", "records")
    studies = output.counted(len(made.study_instance_uids), "study", "studies")
    again = f"{studies} would be" if made.dry_run else f"{studies} will be"
    return f"{records}{' would be imported' if made.dry_run else ''}: {counts}. {again} analyzed again."


@app.command()
def show(
    *,
    patient: Patient = "",
    accession: Accession = "",
    every: Every = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Show what is declared, the newest first."""
    from tbsnode.pipeline import clinical

    with options.site(config) as site:
        rows = clinical.listed(site, patient_id=patient, accession_number=accession, every=every)
    if as_json:
        output.as_json([_as_json(row) for row in rows])
    elif not rows:
        typer.echo("Nothing is declared.")
    else:
        output.table(_SHOWN, (_cells(row) for row in rows))


def _as_json(row: ClinicalRow) -> dict[str, Any]:
    values = asdict(row)
    return {**values.pop("subject"), **values.pop("context"), **values}


def _cells(row: ClinicalRow) -> tuple[object, ...]:
    about = row.subject
    return (
        *(about.patient_id, about.issuer, about.accession_number),
        _declared(row.context),
        *(row.context.source, row.state, row.imported_by, row.created_at),
    )


def _declared(context: ClinicalContext) -> str:
    """Return everything that is declared in a line; nothing of it is interpreted."""
    said = [factor.value.replace("_", " ") for factor in context.present]
    said += [f"no {factor.value.replace('_', ' ')}" for factor in context.absent]
    if context.fracture_sites:
        said.append(f"fracture of {', '.join(context.fracture_sites)}")
    if context.glucocorticoid_mg_day is not None:
        said.append(f"glucocorticoid {context.glucocorticoid_mg_day:g} mg/day")
    if context.menopausal_status:
        said.append(f"{context.menopausal_status}menopausal")
    if context.frax is not None:
        bmd = "with" if context.frax.with_bmd else "without"
        said.append(
            f"FRAX {bmd} BMD {context.frax.major_percent:g} % and {context.frax.hip_percent:g} % (hip)"
        )
    for site in context.densitometry.sites if context.densitometry else ():
        numbers = (("BMD", site.bmd_g_cm2), ("T", site.t_score), ("Z", site.z_score))
        shown = " ".join(f"{name} {value:g}" for name, value in numbers if value is not None)
        said.append(f"{site.site.replace('_', ' ')} {site.side}".strip() + f" {shown}")
    return "; ".join(said) or "nothing: what was declared before is withdrawn"
