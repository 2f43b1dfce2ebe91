"""``tbsnode study``: bring in, look at, explain and repeat studies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbsnode.cli import inputs, options, output, retention, review
from tbsnode.cli import reprocess as bulk_reprocess
from tbsnode.errors import InstanceError

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site

app: typer.Typer = typer.Typer(
    help="Bring in, show and repeat studies.", no_args_is_help=True, rich_markup_mode=None
)

Uid = Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID.")]


# what `study list` and `study show` print for people; JSON has every field
_LISTED = (
    "study_instance_uid",
    "patient_id",
    "study_date",
    "state",
    "reason",
    "review_state",
    "result",
    "score",
    "delivered",
)
_FACTS = (
    *("study_instance_uid", "study_date", "accession_number", "description", "scanner"),
    *("state", "reason", "review_state", "generation", "last_error", "created_at", "updated_at"),
)
_TABLES = {
    "patient": ("patient_id", "issuer", "name", "birth_date", "sex"),
    "instances": ("sop_instance_uid", "version", "state", "calling_ae_title", "host", "received_at"),
    "results": ("generation", "reported", "status", "reason", "score", "tbs", "input_class", "created_at"),
    "reviews": ("at", "action", "login", "host", "version", "comment"),
    "made": ("kind", "sop_instance_uid", "path"),
    "deliveries": ("destination", "state", "reason", "tries", "last_error", "updated_at"),
    "answers": ("kind", "sop_instance_uid", "text", "sent_at"),
    "events": ("at", "action", "text"),
}


class Readers(StrEnum):
    """Where a result stands with its readers."""

    NONE = "none"
    PRELIMINARY = "preliminary"
    SIGNED = "signed"
    NEEDS_RE_REVIEW = "needs_re_review"
    REJECTED = "rejected"


class Use(StrEnum):
    """Which of two conflicting instances counts."""

    FIRST = "first"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file."""

    file: str
    outcome: str
    reason: str = ""


@app.command("import")
def import_files(
    paths: inputs.Paths,
    *,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Take files in as if a scanner had sent them; exit 1 where one was refused."""
    found = inputs.files(paths)
    if dry_run:
        done = [_would_import(path) for path in found]
    else:
        with options.site(config) as site, output.progress() as shown:
            done = [_import(site, path) for path in shown.track(found, description="Importing")]
    if as_json:
        output.as_json({"results": done})
    else:
        _say_imported(done)
    if any(one.outcome == "refused" for one in done):
        raise typer.Exit(1)


def _would_import(path: Path) -> Imported:
    from tbsnode.pipeline import operate

    try:
        operate.require_importable(path)
    except InstanceError as error:
        return Imported(str(path), "refused", str(error))
    return Imported(str(path), "would import")


def _import(site: Site, path: Path) -> Imported:
    from tbsnode.pipeline import operate

    try:
        return Imported(str(path), operate.import_file(site, path))
    except InstanceError as error:
        return Imported(str(path), "refused", str(error))


def _say_imported(done: list[Imported]) -> None:
    for one in done:
        if one.reason:
            typer.echo(f"{one.file}: refused: {one.reason}")
    outcomes = sorted({one.outcome for one in done})
    counts = [f"{sum(one.outcome == outcome for one in done)} {outcome}" for outcome in outcomes]
    typer.echo(f"{output.counted(len(done), 'file', 'files')}: {', '.join(counts)}.")


@app.command("list")
@options.unfold
def list_studies(
    filters: options.Filters,
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many, the newest.")] = 100,
    review_state: Annotated[
        Readers | None, typer.Option("--review", help="Where the result stands with its readers.")
    ] = None,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """List studies, the newest first."""
    from tbsnode.model import ReviewState
    from tbsnode.pipeline import operate

    chosen = filters.study_filter(limit=limit)
    if review_state is not None:
        chosen = replace(chosen, review=ReviewState(review_state.value))
    with options.site(config) as site:
        found = operate.study_list(site, chosen)
    output.rows(found, json_wanted=as_json, empty="No study matches.", columns=_LISTED)


@app.command()
def show(uid: Uid, *, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Show everything about one study: instances, results, what was made, where it was sent."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        shown = operate.study_show(site, uid)
    if as_json:
        output.as_json(shown)
    else:
        _say(shown)


def _say(shown: dict[str, Any]) -> None:
    """Print the study's own values, then a table for each list; JSON has every field."""
    facts = [(name, output.cell(shown[name], time=output.is_time(name))) for name in _FACTS]
    output.table(("study", ""), [(name.replace("_", " "), value) for name, value in facts if value])
    for name, columns in _TABLES.items():
        records = shown[name] if isinstance(shown[name], list | tuple) else [shown[name]]
        if records:
            typer.echo(f"\n{name}")
            output.table(columns, ([record[column] for column in columns] for record in records))


@app.command()
def trace(uid: Uid, *, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Tell the story of one study: what arrived, what was decided, what was sent, what was answered."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        lines = operate.trace(site, uid)
    if as_json:
        output.as_json({"study_instance_uid": uid, "lines": list(lines)})
    else:
        for line in lines:
            typer.echo(line)


@app.command()
def ready(uid: Uid, *, config: options.ConfigFile = None) -> None:
    """Take a study as complete now, without waiting for more."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.ready(site, uid)
    typer.echo("Ready: it is analyzed as soon as a worker is free.")


app.command()(bulk_reprocess.reprocess)


@app.command()
def resend(
    uid: Uid,
    *,
    destination: Annotated[str, typer.Option(metavar="NAME", help="By default every destination.")] = "",
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Send the last result set of a study again."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        number = operate.resend(site, uid, destination or None)
    if as_json:
        output.as_json({"study_instance_uid": uid, "deliveries": number})
    else:
        typer.echo(f"Queued {output.counted(number, 'delivery', 'deliveries')}.")


@app.command()
def resolve(
    uid: Uid,
    *,
    use: Annotated[Use, typer.Option(help="Which instance counts where two claim one UID.")],
    config: options.ConfigFile = None,
) -> None:
    """Decide a conflict: two instances with one UID and different pixels."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.resolve(site, uid, use.value)
    typer.echo(f"Decided: the {use.value} instance counts; the study is analyzed again.")


review.register(app)
app.command("delete")(retention.delete)
