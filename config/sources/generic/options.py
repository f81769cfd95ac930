"""What `sources.<name>` may say for `type: generic`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from config.shapes.words import listed
from config.units import Rate
from config.webhooks.options import Header, Options, Webhook
from config.wire.options import ApiUrl, FileOrigins, ReconcileOptions, SettleOptions
from config.wire.places import PATTERN, Place

#: Of a JSON answer or event, in the order of asking.
Places = Annotated[tuple[Place, ...], BeforeValidator(listed), Field(min_length=1, max_length=10)]
#: The same of an event, whose headers may hold something, too.
EventPlace = Annotated[str, Field(pattern=rf"^header:[a-z0-9-]{{1,64}}$|{PATTERN}", max_length=200)]
EventPlaces = Annotated[tuple[EventPlace, ...], BeforeValidator(listed), Field(min_length=1, max_length=10)]
#: Words of the platform's; a number is the same word.
Word = Annotated[str, BeforeValidator(lambda word: str(word) if type(word) is int else word), Field(min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(listed), Field(max_length=100)]
#: Below `api.url`, with `{id}` for the run's id and other names in braces for fields of the run.
Path = Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=500)]


class ApiShape(Options):
    """How its API is asked."""

    url: ApiUrl = Field(
        description="Its base URL. The token goes there only.", examples=["url: https://api.example.com"]
    )
    token: SecretStr = Field(SecretStr(""), description="Sent with every request.", examples=["token: ${API_TOKEN}"])
    token_header: Header = Field("authorization", description="Where it is sent.", examples=["token_header: x-api-key"])
    token_prefix: str = Field(
        "Bearer ", max_length=32, description="What stands before it.", examples=['token_prefix: "Token "']
    )
    headers: dict[Header, str] = Field(
        {}, description="Sent with every request, too.", examples=["headers: {accept: application/vnd.github+json}"]
    )
    rate: Rate | None = Field(None, description="How often it may be asked.", examples=["rate: 10/s"])
    file_origins: FileOrigins = ()


class EventShape(Options):
    """Where in a webhook things stand."""

    id: EventPlaces = Field(
        ("id",),
        description="The run's id: keys and places in lists joined by dots, or `header:<name>`. The first that holds "
        "one wins.",
        examples=["id: [data.id, id]"],
    )
    delivery: EventPlaces | None = Field(
        None,
        description="What stays the same when the same webhook is sent again; without it, its whole body.",
        examples=["delivery: header:webhook-id"],
    )
    kind: EventPlaces | None = Field(None, description="What happened.", examples=["kind: type"])
    ended: Words = Field(
        (),
        description="The kinds that mean that a run has ended; others are ignored. Without it, all but `tests`.",
        examples=["ended: [crawl.completed, crawl.failed]"],
    )
    tests: Words = Field((), description="The kinds that only try the way.", examples=["tests: ping"])


class RunShape(Options):
    """What is known of a run: asked for, or as the event tells it."""

    fetch: Path | None = Field(
        None,
        description="Where it is asked for. Without it the event is believed, and must be signed.",
        examples=["fetch: /v1/predictions/{id}"],
    )
    at: Place | None = Field(None, description="Where in the answer it stands.", examples=["at: data"])
    status: Places | None = Field(
        None, description="How it stands; without it, the kind of the event.", examples=["status: [conclusion, status]"]
    )
    succeeded: Words = Field(
        (), description="Words for runs that came to their own end.", examples=["succeeded: completed"]
    )
    failed: Words = Field(
        (),
        description="Words for runs that ended otherwise. A word that is neither means that it goes on. Without both, "
        "every run has ended.",
        examples=["failed: [failed, canceled]"],
    )
    finished: Places | None = Field(
        None,
        description="When it ended, as ISO 8601, Unix seconds or milliseconds. A run that ends again at another moment "
        "is delivered again.",
        examples=["finished: completed_at"],
    )
    program: Places | None = Field(
        None, description="What ran; `actor` in `when`.", examples=["program: workflow_run.path"]
    )
    cost: Places | None = Field(None, description="What it cost, in US dollars.", examples=["cost: cost_usd"])
    omit: tuple[Place, ...] = Field(
        (), description="Top-level fields that are not kept of it, for they are large.", examples=["omit: [data, next]"]
    )


class Offset(Options):
    style: Literal["offset"]
    offset: str = Field("offset", description="The parameter for how many are left out.")
    limit: str = Field("limit", description="The parameter for how many are wanted.")
    size: int = Field(100, ge=1, le=10_000, description="How many are asked for at once.")


class PageNumber(Options):
    style: Literal["page"]
    page: str = Field("page", description="The parameter for the page.")
    first: int = Field(1, ge=0, le=1, description="Number of the first page.")
    limit: str | None = Field("limit", description="The parameter for how many are wanted.")
    size: int = Field(100, ge=1, le=10_000, description="How many are asked for at once.")


class Cursor(Options):
    style: Literal["cursor"]
    param: str = Field("cursor", description="The parameter for the cursor.")
    next: Place = Field(description="Where the answer has the next one; none, or an empty one, at the end.")
    limit: str | None = Field(None, description="The parameter for how many are wanted.")
    size: int = Field(100, ge=1, le=10_000, description="How many are asked for at once.")


class Link(Options):
    style: Literal["link"]
    limit: str | None = Field(None, description="The parameter for how many are wanted.")
    size: int = Field(100, ge=1, le=10_000, description="How many are asked for at once.")


class Next(Options):
    style: Literal["next"]
    at: Place = Field("next", description="Where the answer has the address of the next page.")
    limit: str | None = Field(None, description="The parameter for how many are wanted.")
    size: int = Field(100, ge=1, le=10_000, description="How many are asked for at once.")


Paging = Annotated[
    Annotated[Offset | PageNumber | Cursor | Link | Next, Field(discriminator="style")],
    BeforeValidator(lambda written: {"style": written} if isinstance(written, str) else written),
]


class ListShape(Options):
    """A list: in the run, or asked for."""

    fetch: Path | None = Field(
        None, description="Where it is asked for; without it, it stands in the run.", examples=["fetch: /v2/crawl/{id}"]
    )
    at: Place | None = Field(
        None,
        description="Where it stands; without it, the whole answer. What is no list is a list of one.",
        examples=["at: data"],
    )
    paging: Paging | None = Field(
        None,
        description="How it goes on: `offset`, `page`, `cursor`, `link` or `next`; options stand beside `style`.",
        examples=["paging: next"],
    )


class ItemsShape(ListShape):
    """What a run left as rows."""

    total: Place | None = Field(
        None,
        description="Where the answer says how many there are; without it, its pages are counted.",
        examples=["total: total"],
    )


class FilesShape(ListShape):
    """What a run left as files."""

    url: Place | None = Field(
        None,
        description="Where an element has the file's address; without it, the element is the address.",
        examples=["url: archive_download_url"],
    )
    name: Place | None = Field(
        None,
        description="Where an element has the file's name; without it, it is made of the address.",
        examples=["name: name"],
    )
    size: Place | None = Field(None, description="Where it has the bytes.", examples=["size: size_in_bytes"])
    download: Path | None = Field(
        None,
        description="Where a file is asked for, with `{name}`, if elements have no address.",
        examples=["download: /runs/{id}/artifacts/{name}"],
    )


class RunsShape(ListShape):
    """A list of runs, to look for those that nobody announced. Its elements are read as `run` says."""

    id: Places = Field(("id",), description="Where an element has its id.", examples=["id: id"])
    started: Place | None = Field(
        None,
        description="Where it says when it began; a list that begins with the newest is followed as far as `lookback`.",
        examples=["started: created_at"],
    )


class Config(Options):
    """One account of a platform that the file describes."""

    webhook: Webhook | None = Field(
        None, description="How webhooks are recognised. Without it none comes in; `reconcile` finds runs all the same."
    )
    event: EventShape = Field(EventShape(), description="Where in a webhook things stand.")
    api: ApiShape | None = Field(None, description="Its API; without it, the webhook says all there is.")
    run: RunShape = Field(RunShape(), description="What is known of a run.")
    items: ItemsShape | None = Field(None, description="The run's rows: its dataset `default`.")
    files: FilesShape | None = Field(None, description="The run's files: its records.")
    runs: RunsShape | None = Field(None, description="Where its runs are listed, for `reconcile`.")
    reconcile: ReconcileOptions | None = Field(None, description="Look for runs that no webhook announced.")
    settle: SettleOptions = Field(
        SettleOptions(quiet=0.0), description="When what the platform says of a run's data is believed."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        asked = [name for name in ("run", "items", "files", "runs") if getattr(getattr(self, name), "fetch", None)]
        if asked and self.api is None:
            raise ValueError(f"`{asked[0]}.fetch` asks an API that the file does not describe: add `api`")
        if self.reconcile and not (self.runs and self.runs.fetch):
            raise ValueError("`reconcile` needs `runs.fetch`: where runs are listed")
        if self.webhook is None and self.reconcile is None:
            raise ValueError("nothing is ever heard of it: add `webhook`, or `runs` and `reconcile`")
        if self.reconcile and self.run.fetch is None:
            raise ValueError("`reconcile` needs `run.fetch`: where a run that is found is asked for")
        if self.files and self.files.download and self.api is None:
            raise ValueError("`files.download` asks an API that the file does not describe: add `api`")
        return self
