"""`tests:` of runrelay.yaml: a run that might be, and what the file must make of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.checking import Checker
from config.contracts.problem import Problem
from config.contracts.source import Source
from config.document import Document, KeyPath, Origin, written
from config.nearest import guess
from config.route import UNMATCHED, Route, Target
from config.shapes import Shape, Text, listed
from config.shapes.words import FieldName, Texts, Usd

#: Of one file. They run whenever it is read.
MOST_CASES = 1000


def _moment(written: str) -> str:
    try:
        datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"`{written}` is no time: write it as 2026-01-31T07:00:00.000Z") from None
    return written


Moment = Annotated[str, AfterValidator(_moment)]


class GivenRunShape(BaseModel):
    """A run. Whatever else is said is a field of the platform's run object, for templates."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: Text = Field("test", description="Its id.", examples=["id: HG7ML7M8z78YcAPEB"])
    status: Text | None = Field(
        None,
        description="How it ended; by default as runs of its source do that came to their own end.",
        examples=["status: SUCCEEDED"],
    )
    actor: str = Field("", description="What ran; at Apify `owner/name`.", examples=["actor: acme/shop-de"])
    task: str = Field("", description="The saved task it was started from.", examples=["task: acme/nightly"])
    build: str = Field("", description="Number of the build that ran.", examples=["build: '0.1.7'"])
    tags: Annotated[tuple[Text, ...], BeforeValidator(listed)] = Field(
        (), description="Names of that build.", examples=["tags: [latest]"]
    )
    schedule: str = Field("", description="Name of the schedule that started it.", examples=["schedule: nightly"])
    origin: str = Field("", description="How it was started.", examples=["origin: SCHEDULER"])
    usage: Usd | None = Field(
        None, alias="usageTotalUsd", description="What it cost, in US dollars.", examples=["usageTotalUsd: 0.25"]
    )
    started: Moment = Field(
        "2026-01-31T06:00:00.000Z",
        alias="startedAt",
        description="When it began.",
        examples=["startedAt: 2026-01-31T06:00:00.000Z"],
    )
    finished: Moment = Field(
        "2026-01-31T07:00:00.000Z",
        alias="finishedAt",
        description="When it ended.",
        examples=["finishedAt: 2026-01-31T07:00:00.000Z"],
    )

    @property
    def ended(self) -> float:
        """When, as Unix seconds; a time without a zone is UTC."""
        when = datetime.fromisoformat(self.finished)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

    def fields(self, status: str) -> dict[str, Any]:
        """What templates and expressions know as `run`, if it ended so."""
        own = {"id": self.id, "status": status, "startedAt": self.started, "finishedAt": self.finished}
        cost = {} if self.usage is None else {"usageTotalUsd": self.usage}
        return {**own, **cost, **(self.model_extra or {})}


class GivenRecordShape(Shape):
    type: Text = Field(
        "application/octet-stream",
        alias="contentType",
        description="Its content type.",
        examples=["contentType: image/png"],
    )
    size: Annotated[int, Field(ge=0)] = Field(0, description="Bytes.", examples=["size: 2048"])


class GivenShape(Shape):
    source: Text | None = Field(
        None, description="Whose run it is; the file's first source by default.", examples=["source: apify"]
    )
    run: GivenRunShape = Field(
        GivenRunShape(), description="What is known of it.", examples=["run: {status: SUCCEEDED, actor: acme/shop-de}"]
    )
    items: list[Any] = Field(
        [], description="The items of its dataset `default`.", examples=["items: [{url: u1, price: 9.9}]"]
    )
    datasets: dict[FieldName, list[Any]] = Field(
        {}, description="The items of others, by alias.", examples=["datasets: {products: [{url: u1}]}"]
    )
    records: dict[FieldName, GivenRecordShape] = Field(
        {},
        description="Its key-value records, by key.",
        examples=["records: {OUTPUT: {contentType: application/json, size: 120}}"],
    )
    requests: list[Any] = Field([], description="What stands in its request queue.", examples=["requests: [{url: u1}]"])
    event: dict[str, Any] | None = Field(
        None, description="What the webhook said.", examples=["event: {eventType: ACTOR.RUN.SUCCEEDED}"]
    )
    log_tail: str = Field("", description="The end of its log.", examples=["log_tail: out of memory"])

    @model_validator(mode="after")
    def _one_default(self) -> "GivenShape":
        if "items" in self.model_fields_set and "default" in self.datasets:
            raise ValueError("`items` are those of the dataset `default`: give one of the two")
        return self


PerTarget = dict[FieldName, Texts]


class ExpectedShape(Shape):
    """What must become of it. What is not said is not looked at."""

    route: Text | None = Field(None, description="A route that takes the run.", examples=["route: products"])
    routes: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        (), description="All routes that do, in their order.", examples=["routes: [products, screenshots]"]
    )
    unmatched: bool = Field(False, description="No route does.", examples=["unmatched: true"])
    sent: dict[FieldName, list[Any]] = Field(
        {},
        description="What targets of `route` are sent: items, or the keys of documents. A field that is null is as one "
        "that is missing.",
        examples=["sent: {good: [{url: u1, price: 9.9}]}"],
    )
    paths: PerTarget = Field(
        {},
        description="What `path` of targets comes to.",
        examples=["paths: {lake: products/dt=2026-01-31/test.jsonl}"],
    )
    texts: dict[FieldName, str] = Field(
        {}, description="What `text` of targets comes to.", examples=["texts: {oncall: acme/shop-de FAILED}"]
    )
    held: bool | Text | None = Field(
        None,
        description="Whether `expect` of the route holds the run in quarantine, or words that are among the reasons.",
        examples=["held: true"],
    )
    filtered: Annotated[int, Field(ge=0)] | None = Field(
        None, description="How many items `read` of the route leaves out.", examples=["filtered: 1"]
    )

    @model_validator(mode="after")
    def _says_where(self) -> "ExpectedShape":
        if not (self.route or self.routes or self.unmatched):
            raise ValueError("says nothing of where the run goes: give `route`, `routes` or `unmatched: true`")
        if self.unmatched and (self.route or self.routes):
            raise ValueError("a run that a route takes is not unmatched: give one of the two")
        if self.route and self.routes and self.route not in self.routes:
            raise ValueError(f"`{self.route}` is not among `routes`: add it there")
        if not self.route and not self.unmatched and self.of_one_route():
            raise ValueError(f"`{min(self.of_one_route())}` is of one route: say of which with `route`")
        return self

    def of_one_route(self) -> set[str]:
        """The keys that need one."""
        return self.model_fields_set & {"sent", "paths", "texts", "held", "filtered"}


class CaseShape(Shape):
    name: Text = Field(description="What is tested, in words.", examples=["name: cheap junk is filtered out"])
    given: GivenShape = Field(
        GivenShape(), description="A run that might be.", examples=["given: {run: {status: SUCCEEDED}, items: []}"]
    )
    expect: ExpectedShape = Field(
        description="What must become of it.", examples=["expect: {route: products, sent: {good: []}}"]
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        source: whose run it is.
        status: how it ended.
        path: where it stands in the file.
    """

    name: str
    source: str
    status: str
    given: GivenShape
    expect: ExpectedShape
    _document: Document = field(repr=False, compare=False)
    path: KeyPath = field(repr=False, compare=False)

    def problem(self, message: str, *below: str | int) -> Problem:
        """What failed, with the place of what was expected below `expect`."""
        path = (*self.path, "expect", *below)
        while self._document.at(path) is None:  # a field that nobody expected
            path = path[:-1]
        return self._document.problem(message, path)


def cases(
    check: Checker, sources: Mapping[str, Source], routes: Sequence[Route], unmatched: Route | None
) -> tuple[Case, ...]:
    """The tests of a file; says which of them cannot be understood."""
    paths = check.blocks(("tests",))
    if len(paths) > MOST_CASES:
        check.say(f"these are {len(paths)} tests, and at most {MOST_CASES} can be run", ("tests",))
        return ()
    _named_once(check, paths)
    found = (_case(check, path, sources) for path in paths)
    right = [case for case in found if case]
    whole = _right(check, (*routes, *((unmatched,) if unmatched else ())))
    for case in right:
        _Names(check, case, whole).exist()
    return tuple(right)


def _right(check: Checker, routes: Iterable[Route]) -> dict[str, Route]:
    """By name, those without a mistake: of the others nobody knows which targets they are to have."""
    places = {str(check.block(path).get("name")): path for path in check.blocks(("routes",))} | {
        UNMATCHED: (UNMATCHED,)
    }
    origins = {name: check.document.origin(path) for name, path in places.items()}

    def is_wrong(origin: Origin) -> bool:
        beginning = f"{written(origin.path)}."
        return any(each.file == origin.file and each.path.startswith(beginning) for each in check.problems)

    return {route.name: route for route in routes if not is_wrong(origins[route.name])}


def _named_once(check: Checker, paths: Iterable[KeyPath]) -> None:
    seen = set[Any]()
    for path in paths:
        name = check.block(path).get("name")
        if isinstance(name, str) and name in seen:
            check.say(f"the test name `{name}` is used twice", (*path, "name"))
        seen.add(name if isinstance(name, str) else None)


def _case(check: Checker, path: KeyPath, sources: Mapping[str, Source]) -> Case | None:
    shape = check.model(CaseShape, path, check.block(path))
    if shape is None:
        return None
    source, known = shape.given.source, check.block(("sources",))
    if source is not None and source not in known:
        check.say(f"no source `{source}` is defined: {_known(source, known)}", (*path, "given", "source"))
        return None
    name = source or next(iter(sources), "")
    if name not in sources:
        return None  # it has a mistake of its own
    status = shape.given.run.status or sources[name].success
    return Case(shape.name, name, status, shape.given, shape.expect, check.document, path)


class _Names:
    """The names that one test expects something of."""

    def __init__(self, check: Checker, case: Case, routes: Mapping[str, Route]) -> None:
        self.check, self.case, self.routes = check, case, routes
        self.path: KeyPath = (*case.path, "expect")

    def exist(self) -> None:
        """Say which of them the file does not have."""
        expect = self.case.expect
        if expect.route:
            self.route(expect.route, "route")
        for index, name in enumerate(expect.routes):
            self.route(name, "routes", index)
        route = self.routes.get(UNMATCHED if expect.unmatched else expect.route or "")
        if route is not None:
            self.targets_of(route)
        elif expect.unmatched and not self.check.block((UNMATCHED,)) and (said := sorted(expect.of_one_route())):
            self.say("the file has no block `unmatched`, so nothing is sent anywhere", said[0])

    def targets_of(self, route: Route) -> None:
        expect = self.case.expect
        for key, names in (("sent", expect.sent), ("paths", expect.paths), ("texts", expect.texts)):
            for name in names:
                self.target(route, key, name)
        if expect.held is not None and route.expect is None:
            self.say(f"`{route.name}` expects nothing, so it holds no run: give it an `expect`", "held")

    def target(self, route: Route, key: str, name: str) -> None:
        known = {target.name: target for target in route.targets}
        if name not in known:
            self.say(f"`{route.name}` has no target `{name}`: {_known(name, known)}", key, name)
        elif key != "sent" and not _says(known[name], key.removesuffix("s")):
            option = key.removesuffix("s")
            self.say(f"`{name}` has no `{option}` in the file, so there is nothing to compare", key, name)

    def route(self, name: str, *below: str | int) -> None:
        written_ = [block.get("name") for block in map(self.check.block, self.check.blocks(("routes",)))]
        known = [one for one in written_ if isinstance(one, str)]
        if name not in known:
            self.say(f"no route `{name}` is defined: {_known(name, known)}", *below)

    def say(self, message: str, *below: str | int) -> None:
        self.check.say(message, (*self.path, *below))


def _says(target: Target, option: str) -> bool:
    return getattr(target.options, option, None) is not None


def _known(name: str, known: Collection[str]) -> str:
    return f"{guess(name, known)}known are {', '.join(known) or 'none'}"
