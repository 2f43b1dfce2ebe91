"""What may be set, section by section: type, default, and the rule that a value must keep.

Every value is frozen, every unknown key an error, and a number in quotes a text. A rule that concerns
one value stands here; one that compares several (two destinations of one name) stands in `mistakes`, so
that it is reported together with all others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from tbsnode.config import rules
from tbsnode.config.mistakes import wrong

AeTitle = Annotated[str, AfterValidator(rules.ae_title)]
Host = Annotated[str, AfterValidator(rules.host)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
Seconds = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
RelativePath = Annotated[Path, AfterValidator(rules.resolved)]
Spacing = Annotated[StrictFloat, Field(gt=0, le=10, allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the file: frozen, no unknown key, defaults validated like written values."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


class Node(Section):
    """``[node]``: who this node is. In ``shadow`` mode everything runs and nothing leaves."""

    ae_title: AeTitle = "TBSNODE"
    mode: Literal["live", "shadow"] = "live"
    state: RelativePath = Path("state")


class Tls(Section):
    """Certificate, key and trusted authorities of a TLS connection, as PEM files."""

    certificate: RelativePath
    key: RelativePath
    ca: RelativePath


class ReceiverTls(Tls):
    """``[receiver.tls]``: a port of its own; callers prove themselves with a certificate.

    With `only`, the port for clear text is closed.
    """

    port: Port = 2762
    only: StrictBool = False


class DestinationTls(Tls):
    """``tls`` of a destination; `verify_host`: its certificate must name the host."""

    verify_host: StrictBool = True


class Caller(Section):
    """One known caller; without own times it has those of ``[completion]``.

    At `port` it takes reports of storage commitment, over TLS with `port_tls`.
    """

    ae_title: AeTitle
    host: Annotated[str, AfterValidator(rules.caller_host)]
    port: Port | None = None
    port_tls: StrictBool = False
    certificate: str = ""
    quiet_s: Seconds | None = None
    after_release_s: Seconds | None = None


class Receiver(Section):
    """``[receiver]``: where scanners send to, and which of them may.

    Several `processes` take turns at one port, where one interpreter cannot keep up.
    """

    bind: Host = "0.0.0.0"  # noqa: S104 - a receiver listens to the network; callers are checked
    port: Port = 11112
    processes: Annotated[StrictInt, Field(ge=1, le=16)] = 1
    callers: tuple[Caller, ...] = ()
    tls: ReceiverTls | None = None


class Database(Section):
    """``[database]``: the catalogue; `url` is absolute and holds the password of `password_file`."""

    url: Annotated[str, AfterValidator(rules.database_url), Field(repr=False)] = "sqlite:///state/tbsnode.db"
    password_file: RelativePath | None = None

    @model_validator(mode="after")
    def _with_password(self) -> Self:
        if self.password_file is None:
            return self
        user, separator, rest = self.url.removeprefix("postgresql+psycopg://").partition("@")
        if not self.url.startswith("postgresql") or not separator or ":" in user:
            raise wrong(
                "a password file needs a PostgreSQL url with a user and no password.",
                'Write url = "postgresql+psycopg://user@host/database".',
            )
        try:
            password = self.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise wrong(
                f"the password file {self.password_file} cannot be read ({why}).",
                "Create it, readable by the account of the node only.",
            ) from error
        if not password:
            raise wrong(f"the password file {self.password_file} is empty.", "Write the password into it.")
        url = f"postgresql+psycopg://{user}:{quote(password, safe='')}@{rest}"
        object.__setattr__(self, "url", url)
        return self


class Archive(Section):
    """``[archive]``: where instances lie, and below which free space nothing more is accepted."""

    path: RelativePath = Path("state/archive")
    min_free_bytes: Annotated[StrictInt, Field(ge=0)] = 2 * 1024**3
    min_free_percent: Annotated[StrictFloat, Field(ge=0, lt=100, allow_inf_nan=False)] = 5.0


class Logging(Section):
    """``[logging]``: how much is said, and whether for people or for a log collector."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    as_json: Annotated[StrictBool, Field(alias="json")] = False


class Completion(Section):
    """``[completion]``: when a study is taken to be complete."""

    quiet_s: Seconds = 30.0
    after_release_s: Seconds = 2.0
    settle_s: Seconds = 900.0


class Analysis(Section):
    """``[analysis]``: how many worker processes, and whether a refusal is reported too."""

    workers: Annotated[StrictInt, Field(ge=1, le=64)] = 2
    report_refusals: StrictBool = True
    refusal_pause_after: Annotated[StrictInt, Field(ge=0)] = 20
    exclusion_policy: Literal["automatic", "none"] = "automatic"


class Destination(Section):
    """``[[destinations]]``: an application entity that gets results."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
    ae_title: AeTitle
    host: Host
    port: Port = 104
    send: Annotated[
        tuple[Literal["sr", "pdf", "overlay", "source"], ...], AfterValidator(rules.not_empty)
    ] = (
        "sr",
        "pdf",
    )
    commitment: StrictBool = False
    release: Literal["preliminary", "signed"] = "preliminary"
    sr_class: Annotated[
        tuple[Literal["3d", "comprehensive", "enhanced"], ...], AfterValidator(rules.not_empty)
    ] = ("3d", "comprehensive", "enhanced")
    tls: DestinationTls | None = None
    wait_for_study_s: Seconds = 0.0


class Delivery(Section):
    """``[delivery]``: how long an unreachable destination is tried again, and its reports are awaited."""

    retry_first_s: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] = 30.0
    retry_cap_s: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] = 600.0
    retry_hours: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] = 72.0
    commitment_timeout_hours: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] = 24.0


class Engine(Section):
    """``[engine]``: after how long a silent worker's work is taken over by another one."""

    lease_s: Annotated[StrictFloat, Field(ge=1, allow_inf_nan=False)] = 30.0


class Selection(Section):
    """``[selection]``: which studies are reported."""

    when: Literal["all", "ordered"] = "all"
    order_codes: tuple[str, ...] = ("77089", "TBS")
    max_study_age_days: Annotated[StrictInt, Field(ge=1)] = 30
    phantom_patient_ids: tuple[str, ...] = ("QC*", "PHANTOM*", "*SPINE PHANTOM*")


class Reviewer(Section):
    """A person who may sign; the login decides."""

    login: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    organization: str = ""


class Interpretation(Section):
    """``[interpretation]``: what is said beyond the number, and who may sign it."""

    threshold_set: Literal["A", "B"] = "B"
    reference_file: RelativePath | None = None
    frax_adjustment: StrictBool = False
    reviewers: tuple[Reviewer, ...] = ()


class Report(Section):
    """``[report]``: the paper of the PDF."""

    page_size: Literal["A4", "letter"] = "A4"


class Priors(Section):
    """``[priors]``: where earlier examinations are looked for besides the own archive."""

    destination: str = ""
    most: Annotated[StrictInt, Field(ge=0, le=50)] = 8
    timeout_s: Annotated[StrictFloat, Field(gt=0, le=600, allow_inf_nan=False)] = 20.0


class Coding(Section):
    """``[coding]``: the aid that names a procedure code on a signed report; off by default."""

    enabled: StrictBool = False


class Retention(Section):
    """``[retention]``: after how many days files that everybody has are deleted; 0: never."""

    days: Annotated[StrictInt, Field(ge=0)] = 0
    keep_priors_years: Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] = 10.0


class Notify(Section):
    """``[notify]``: which webhook is told when somebody must act; blank: none."""

    webhook: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    token_file: RelativePath | None = None
    interval_s: Annotated[StrictFloat, Field(ge=1, allow_inf_nan=False)] = 900.0
    unsent_minutes: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] = 60.0


class Http(Section):
    """``[http]``: where /health and /metrics answer; port 0: nowhere."""

    bind: Host = "127.0.0.1"
    port: Annotated[StrictInt, Field(ge=0, le=65535)] = 8043


class ScannerHint(Section):
    """``[[scanners]]``: what the header of a scanner does not say; blank fields match anything."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    linear: StrictBool = False
    pixel_spacing_mm: tuple[Spacing, Spacing] | None = None

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if not (self.manufacturer or self.model or self.serial):
            raise wrong(
                "it would match every scanner.",
                "Name at least one of manufacturer, model, serial as the DICOM header has it.",
            )
        return self


class Site(Section):
    """``[site]``: the institution, and what identifies this installation."""

    name: str = ""
    serial_number: str = ""
    clearance: str = ""


class Config(Section):
    """Everything an operator may set."""

    node: Node = Node()
    receiver: Receiver = Receiver()
    database: Database = Database()
    archive: Archive = Archive()
    logging: Logging = Logging()
    completion: Completion = Completion()
    analysis: Analysis = Analysis()
    destinations: tuple[Destination, ...] = ()
    scanners: tuple[ScannerHint, ...] = ()
    delivery: Delivery = Delivery()
    selection: Selection = Selection()
    interpretation: Interpretation = Interpretation()
    report: Report = Report()
    priors: Priors = Priors()
    coding: Coding = Coding()
    engine: Engine = Engine()
    http: Http = Http()
    retention: Retention = Retention()
    notify: Notify = Notify()
    site: Site = Site()
