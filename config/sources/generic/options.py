"""What `sources.<name>` may say for `type: generic`."""

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from config.shapes.words import FieldName, listed
from config.sources.generic import filling
from config.sources.generic.paging import Paging
from config.units import Rate
from config.webhooks.options import Options, Webhook
from config.wire.forms import Form
from config.wire.options import (
    ApiUrl,
    FileOrigins,
    ReconcileOptions,
    SentHeader,
    SentValue,
    SettleOptions,
    unheard,
    usable,
)
from config.wire.places import PATTERN, WORDS, Place, steps

#: Of a JSON answer or event, in the order of asking.
Places = Annotated[tuple[Place, ...], BeforeValidator(listed), Field(min_length=1, max_length=10)]


def _lower_header(place: str) -> str:
    return place.lower() if place.startswith("header:") else place


def _as_word(written: object) -> object:
    """Platforms have numbers and truth values for words, too."""
    if isinstance(written, bool):
        return "true" if written else "false"
    return str(written) if isinstance(written, int) else written


def _fillable(path: str) -> str:
    places = filling.names(path)
    if not all(re.fullmatch(PATTERN, place) for place in places) or set("{}") & set(filling.without_names(path)):
        raise ValueError("in braces stands `id`, or where the run has something else, such as {repository.name}")
    if "#" in path or {".", ".."} & set(urlsplit(path).path.split("/")) or path.startswith("//"):
        raise ValueError("a path below `api.url`, without steps up and without `#`")
    return path


#: The same of an event, whose headers may hold something, too.
EventPlace = Annotated[
    str,
    Form(rf"header:[A-Za-z0-9_-]{{1,64}}|{PATTERN}", f"{WORDS}, or `header:<name>`"),
    Field(max_length=200),
    AfterValidator(_lower_header),
]
EventPlaces = Annotated[tuple[EventPlace, ...], BeforeValidator(listed), Field(min_length=1, max_length=10)]
#: Words of the platform's; a number or a truth value is the same word.
Word = Annotated[
    str, BeforeValidator(_as_word, json_schema_input_type=str | int | bool), Field(min_length=1, max_length=200)
]
Words = Annotated[tuple[Word, ...], BeforeValidator(listed), Field(max_length=100)]
#: Below `api.url`, with `{id}` for the run's id and other names in braces for fields of the run.
Path = Annotated[
    str,
    Form(r"/[!-~]*", "a path that begins with `/`, in ASCII without blanks (`%20`)"),
    Field(max_length=500),
    AfterValidator(_fillable),
]
#: Of the platform's, in a query.


class ApiShape(Options):
    """How its API is asked."""

    url: ApiUrl = Field(
        description="Its base URL. The token goes there only.", examples=["url: https://api.example.com"]
    )
    token: Annotated[SecretStr, AfterValidator(usable("leave `token` out if the API wants none"))] = Field(
        SecretStr(""), description="Sent with every request.", examples=["token: ${API_TOKEN}"]
    )
    token_header: SentHeader = Field(
        "authorization", description="Where it is sent.", examples=["token_header: x-api-key"]
    )
    token_prefix: SentValue = Field(
        "Bearer ", max_length=32, description="What stands before it.", examples=['token_prefix: "Token "']
    )
    headers: dict[SentHeader, SentValue] = Field(
        {},
        description="Sent with every request, too; no secrets.",
        examples=["headers: {accept: application/vnd.github+json}"],
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
        description="Where it is asked for, with `{id}`. Without it the event is believed, and should be signed.",
        examples=["fetch: /v1/predictions/{id}"],
    )
    at: Place | None = Field(None, description="Where in the answer it stands.", examples=["at: data"])
    status: Places | None = Field(
        None,
        description="How it stands; without it, the kind that the event's body tells.",
        examples=["status: [conclusion, status]"],
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
    omit: Annotated[tuple[FieldName, ...], BeforeValidator(listed)] = Field(
        (),
        description="Top-level fields that are not kept of it, for all that is kept may have 1 MiB. A list that is "
        "asked for by itself is left out anyway.",
        examples=["omit: [logs, input]"],
    )


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
    optional: bool = Field(
        False,
        description="Whether nothing at `at`, or no address in an element, means that there is nothing. Otherwise it "
        "is a mistake: what is not found must not count as delivered.",
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
        description="Where the answer says how many rows there are; without it they are counted. A run is waited for "
        "as long as it has fewer.",
        examples=["total: total"],
    )


class FilesShape(ListShape):
    """What a run left as files."""

    url: Place | None = Field(
        None,
        description="Where an element has the file's address; without it, the element is the address. A text that is "
        "none is no file.",
        examples=["url: archive_download_url"],
    )
    name: Place | None = Field(
        None,
        description="Where an element has the file's name; without it, it is made of the address.",
        examples=["name: name"],
    )
    size: Place | None = Field(
        None, description="Where it says how many bytes it has.", examples=["size: size_in_bytes"]
    )
    download: Path | None = Field(
        None,
        description="Where a file is asked for, with `{name}`, if elements have no address.",
        examples=["download: /runs/{id}/artifacts/{name}"],
    )


class RunsShape(ListShape):
    """A list of runs, to look for those that nobody announced. Its elements are read as `run` says."""

    fetch: Path = Field(description="Where it is asked for.", examples=["fetch: /v1/predictions"])
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
        misfits = [*_unasked(self), *_unheard(self), *_unfilled(self), *_unsaid(self), *_left_out(self)]
        if misfits:
            raise ValueError("; ".join(misfits))
        return self


def _unasked(config: Config) -> Iterator[str]:
    """What asks an API."""
    for name in ("run", "items", "files", "runs"):
        if config.api is None and getattr(getattr(config, name), "fetch", None):
            yield f"`{name}.fetch` asks an API that the file does not describe: add `api`"
    if config.api is None and config.files and config.files.download:
        yield "`files.download` asks an API that the file does not describe: add `api`"
    for name in ("items", "files"):
        shape: ListShape | None = getattr(config, name)
        if shape and shape.paging and not shape.fetch:
            yield f"`{name}.paging` needs `{name}.fetch`: what stands in the run has no pages"


def _unheard(config: Config) -> Iterator[str]:
    """What finds runs."""
    yield from unheard(config.webhook, config.reconcile, "`runs` and `reconcile`")
    if config.reconcile and not config.runs:
        yield "`reconcile` needs `runs.fetch`: where runs are listed"
    if config.reconcile and config.run.fetch is None:
        yield "`reconcile` needs `run.fetch`: where a run that is found is asked for"
    if config.reconcile and config.run.finished is None:
        yield "`reconcile` needs `run.finished`: without it nobody knows which runs have only just ended"


def _unfilled(config: Config) -> Iterator[str]:
    """Names in paths of which nothing is known yet."""
    if config.run.fetch and set(filling.names(config.run.fetch)) != {"id"}:
        yield "`run.fetch` needs `{id}`, and knows nothing else: the rest is not known before it is asked"
    if config.runs and filling.names(config.runs.fetch):
        yield "`runs.fetch` is asked without a run: it has nothing in braces"
    if config.files and config.files.download and "{name}" not in config.files.download:
        yield "`files.download` needs `{name}`: every file would be the same"


def _unsaid(config: Config) -> Iterator[str]:
    """Words that would never be found."""
    event, run = config.event, config.run
    if (event.ended or event.tests) and event.kind is None:
        yield f"`event.{'ended' if event.ended else 'tests'}` needs `event.kind`: where the word stands"
    if not run.status:
        yield from _unkept(event, run)
    if both := set(run.succeeded) & set(run.failed):
        yield f"`{sorted(both)[0]}` stands under `run.succeeded` and `run.failed`"


def _unkept(event: EventShape, run: RunShape) -> Iterator[str]:
    """The kind of an event stands for a status, unless a header has it: of an event only the body is kept."""
    words = "succeeded" if run.succeeded else "failed" if run.failed else ""
    by_header = any(place.startswith("header:") for place in event.kind or ())
    if words and (run.fetch or event.kind is None):
        yield f"`run.{words}` needs `run.status`: where the word stands"
    elif words and by_header:
        yield f"`run.{words}` needs `run.status`, in the body: headers, where `event.kind` looks, are not kept"
    elif by_header and run.fetch is None and not (event.ended or event.tests):
        yield "`event.kind` stands for `run.status`, and headers are not kept: set `run.status`, in the body"


def _left_out(config: Config) -> Iterator[str]:
    """What is read in the run, but not kept of it."""
    for key, place in read_in_run(config):
        if steps(place)[0] in config.run.omit:
            yield f"`run.omit` leaves out what `{key}` reads in the run"


def read_in_run(config: Config) -> Iterator[tuple[str, str]]:
    """The keys that read something in the run that is kept, each with its place."""
    for name in ("status", "finished", "program", "cost"):
        yield from ((f"run.{name}", place) for place in getattr(config.run, name) or ())
    for name in ("items", "files"):
        shape: ListShape | None = getattr(config, name)
        if shape and shape.at and not shape.fetch:
            yield f"{name}.at", shape.at
        yield from ((f"{name}.fetch", place) for place in filling.names((shape and shape.fetch) or "") if place != "id")
    if config.files and config.files.download:
        names = set(filling.names(config.files.download)) - {"id", "name"}
        yield from (("files.download", place) for place in sorted(names))
