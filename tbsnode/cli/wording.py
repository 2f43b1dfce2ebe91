"""``tbsnode study text``: the interpretation, to paste into the report of the reading physician."""

from __future__ import annotations

import typer

from tbsnode.cli import options, output
from tbsnode.cli.study import Uid


def study_text(uid: Uid, *, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Print the interpretation of a study as it was published, to paste into a report.

    Standard output has the text and nothing else; who signed it stands on standard error. A text that
    nobody has signed begins with PRELIMINARY.
    """
    from tbsnode import text
    from tbsnode.pipeline import wording
    from tbsnode.report import facts

    with options.site(config) as site:
        found = wording.wording(site, uid)
    if as_json:
        output.as_json(found)
        return
    if not found.version:
        typer.echo(f"{text.phrase('status_preliminary')}.")
    else:
        who = ", ".join(part for part in (facts.person(found.signed_by), found.organization) if part)
        typer.echo(f"{found.status.value.capitalize()} by {who} at {found.signed_at}.", err=True)
    if found.needs_re_review:
        typer.echo("The result has changed since: it waits for another review.", err=True)
    typer.echo(found.text)
