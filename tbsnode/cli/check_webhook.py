"""Whether who is to be told can be: the webhook answers, and its token can be read.

Nobody is told anything here: a check may run every hour. A message, marked as a test, is what
`tbsnode check --go-live` sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from tbsnode.config import Config


def lines(config: Config) -> Iterator[Line]:
    """Yield what was found; nothing where nobody is to be told."""
    token = config.notify.token_file
    try:
        if token is not None:
            token.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        text = f"{token} cannot be read ({type(error).__name__}): nobody would be notified."
        yield Line("notify", text, "Correct [notify] token_file, or its rights.", ConfigError.exit_code)
    if config.notify.webhook:
        yield _answer(config.notify.webhook)


def _answer(address: str) -> Line:
    """Ask the webhook for nothing; the address is not repeated, for it may hold a secret."""
    from tbsnode.pipeline import webhook

    try:
        status = webhook.reach(address)
    except (webhook.NotTaken, webhook.NotThere) as error:
        text = f"the webhook does not answer: {error}. Nobody would be notified."
        remedy = "Correct [notify] webhook, or ask who runs it; is there a firewall or a proxy between?"
        return Line("notify", text, remedy, ResourceError.exit_code)
    return Line("notify", f"the webhook answers ({status}); `tbsnode check --go-live` sends it a test")
