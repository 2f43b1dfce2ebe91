"""What an operator may set: one TOML file, read once, handed down as one frozen value.

`sections` says what may be set and what is right; `loading` finds the file, lays the environment
over it and reports every mistake at once, in the words of `mistakes`.
"""

from tbsnode.config.common import digests
from tbsnode.config.loading import SEARCH_PATHS, find, load, with_database
from tbsnode.config.sections import (
    Analysis,
    Archive,
    Caller,
    Completion,
    Config,
    Database,
    Delivery,
    Destination,
    Engine,
    Http,
    Interpretation,
    Logging,
    Node,
    Receiver,
    Reviewer,
    ScannerHint,
    Selection,
    Site,
)

__all__ = [
    "SEARCH_PATHS",
    "Analysis",
    "Archive",
    "Caller",
    "Completion",
    "Config",
    "Database",
    "Delivery",
    "Destination",
    "Engine",
    "Http",
    "Interpretation",
    "Logging",
    "Node",
    "Receiver",
    "Reviewer",
    "ScannerHint",
    "Selection",
    "Site",
    "digests",
    "find",
    "load",
    "with_database",
]
