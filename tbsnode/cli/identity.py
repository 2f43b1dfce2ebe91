"""``tbsnode study identity|quarantine|release|purge|refusals``: whose a study is, what may happen to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from tbsnode.pipeline.quarantine import Purged
    from tbsnode.pipeline.study_identity import Change

Uid = Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID.")]


def identity(
    uid: Uid,
    *,
    destination: Annotated[
        str, typer.Option(metavar="NAME", help="Who is asked; by default the first destination.")
    ] = "",
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Take over whose a study is at the PACS: new documents in that name, the old ones withdrawn.

    Patient ID, issuer, name, birth date, sex and accession number. A signed result waits for its reader.
    """
    from tbsnode.pipeline import study_identity

    with options.site(config) as site:
        change = study_identity.from_pacs(site, uid, destination=destination, dry_run=dry_run)
    if as_json:
        output.as_json(change)
    else:
        typer.echo(told(change))


def told(change: Change) -> str:
    """Say what taking over an identity did, or would do; no value of a patient."""
    if not change.changed:
        return f"{change.study_instance_uid}: nothing differs; nothing was changed."
    number = output.counted(change.instances, "instance", "instances")
    withdrawn = output.counted(change.withdrawn, "document", "documents")
    verbs = ("would take", "would be", "would be") if change.dry_run else ("takes", "are", "is")
    text = (
        f"{change.study_instance_uid}: {number} {verbs[0]} over {', '.join(change.changed)}; "
        f"{withdrawn} of ours {verbs[1]} withdrawn where they were received."
    )
    if change.signed:
        return f"{text} The result was signed: `tbsnode study accept {change.study_instance_uid}` again."
    return f"{text} The result {verbs[2]} made again and sent."


def quarantine(uid: Uid, *, config: options.ConfigFile = None) -> None:
    """Keep a study from all work and all sending, until it is released."""
    from tbsnode.pipeline import quarantine as act

    with options.site(config) as site:
        act.set_aside(site, uid)
    typer.echo("In quarantine: nothing of it is computed or sent.")


def release(uid: Uid, *, config: options.ConfigFile = None) -> None:
    """End the quarantine of a study: it is analyzed again, and what was held for it is sent."""
    from tbsnode.pipeline import quarantine as act

    with options.site(config) as site:
        act.release(site, uid)
    typer.echo("Released: it is analyzed again.")


def purge(
    uid: Uid,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only say what would be.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what was signed, or not sent yet.")] = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Delete a study: its files, rows and results. Its story stays in the audit trail."""
    from tbsnode.pipeline import quarantine as act

    with options.site(config) as site:
        done = act.purged(site, uid, delete=yes, force=force)
    if as_json:
        output.as_json({**asdict(done), "deleted": yes})
    else:
        typer.echo(_told_purged(done, deleted=yes))


def _told_purged(done: Purged, *, deleted: bool) -> str:
    files = output.counted(done.files, "file", "files")
    what = f"{files} ({done.size_bytes / 1e6:.1f} MB), {output.counted(done.results, 'result', 'results')}"
    if deleted:
        return f"Deleted {what}. What was sent to a PACS is still there."
    needed = "--yes --force" if done.needs_force else "--yes"
    return f"Would delete {what}. Nothing was deleted: {needed} deletes."


def refusals(
    *,
    resume: Annotated[
        str, typer.Option("--resume", metavar="SCANNER", help="Report the refusals of this scanner again.")
    ] = "",
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """List the scanners whose refusals are not reported, because the same one came too often in a row."""
    from tbsnode.pipeline import refusal_pause

    with options.site(config) as site:
        if resume:
            refusal_pause.resume(site, resume)
        found = refusal_pause.paused(site)
    output.rows(found, json_wanted=as_json, empty="The refusals of every scanner are reported.")


def register(app: typer.Typer) -> None:
    """Add the commands to ``tbsnode study``."""
    for command in (identity, quarantine, release, purge, refusals):
        app.command()(command)
