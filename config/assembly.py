"""Puts a checked document together: sources, sinks, routes and their targets."""

import re
from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any, cast

from pydantic import BaseModel

from config import plugins
from config.checking import Checker
from config.contracts.delivery import Send
from config.contracts.errors import ConfigInvalid
from config.contracts.sink import SinkModule, writes_whole
from config.contracts.source import Source
from config.document import KeyPath
from config.meaning import as_rows, expressions, only_fits, roots_fit, transform_fits
from config.nearest import guess
from config.route import GATE, UNMATCHED, Alerts, AlertTarget, Expect, Read, Route, SinkSpec, Target, Transform, When
from config.shapes import (
    NAME_ADVICE,
    NAME_PATTERN,
    AlertsShape,
    AlertTargetShape,
    CostShape,
    DefaultsShape,
    ExpectShape,
    ItemsShape,
    PaceShape,
    RouteShape,
    Shape,
    SinkShape,
    SourceShape,
    TargetShape,
    UnmatchedShape,
    pace,
)

_NAME = re.compile(NAME_PATTERN, re.ASCII)
_WRITTEN_OUT = (
    "this secret is written out, so it would be stored in Redis with each route: put it in the environment as ${NAME}"
)
_READ_LINES = {
    "items": "dataset: default",
    "records": 'records: ["*"]',
    "requests": "requests: true",
    "log": "log_tail: 100",
}
_EACH_DATASET = re.compile(r"\{[{%].*\bdataset\b", re.DOTALL)


class Assembly:
    """One document on its way to routes. Every method says what is wrong to the checker and goes on."""

    def __init__(self, check: Checker) -> None:
        self.check = check
        self.defaults = check.model(DefaultsShape, ("defaults",), check.block(("defaults",))) or DefaultsShape()
        self.modules: dict[str, SinkModule] = {}
        self.paces: dict[str, PaceShape] = {}
        self.specs: dict[str, SinkSpec] = {}

    def sources(self) -> dict[str, Source]:
        """The sources that are right, by name."""
        found = {name: self.source(name, ("sources", name)) for name in self.names(("sources",))}
        return {name: source for name, source in found.items() if source}

    def source(self, name: str, path: KeyPath) -> Source | None:
        common, options = _split(self.check.block(path), SourceShape)
        self.check.model(SourceShape, path, common)
        module = self.plugin("config.sources", plugins.SOURCES, common.get("type", name), path)
        config = self.check.model(module.Config, path, options, _keys(SourceShape)) if module else None
        if module is None or config is None:
            return None
        try:
            return cast("Source", module.connect(name, config))
        except (ConfigInvalid, ValueError) as exc:
            self.check.say(str(exc), path, key=True)
            return None

    def sinks(self) -> dict[str, SinkSpec]:
        """The sinks that are right, by name."""
        for name in self.names(("sinks",)):
            self.sink(name, ("sinks", name))
        return self.specs

    def sink(self, name: str, path: KeyPath) -> None:
        common, options = _split(self.check.block(path), SinkShape)
        shape = self.check.model(SinkShape, path, common)
        self.paces[name] = shape or PaceShape()
        kind = common.get("type", name)
        loaded = self.plugin("workers.sinks", plugins.SINKS, kind, path)
        if loaded is None:
            return
        module = self.modules[name] = cast("SinkModule", loaded)
        config = self.check.model(module.Config, path, options, _keys(SinkShape))
        if config is not None:
            self.warn_of_secrets(config, path)
            self.source_exists(getattr(config, "source", None), (*path, "source"))
            self.specs[name] = SinkSpec(name, kind, config, module)

    def plugin(self, package: str, group: str, kind: Any, path: KeyPath) -> ModuleType | None:
        if not isinstance(kind, str):
            return None
        try:
            return plugins.load(package, kind, group)
        except plugins.PluginMissing as exc:
            typed = "type" in self.check.block(path)
            where, message = ((*path, "type"), "") if typed else (path, "without a `type:` the name is the type; ")
            self.check.say(message + exc.message, where, key=not typed)
            return None

    def routes(self) -> tuple[Route, ...]:
        """Every route, in file order; those with mistakes are left out."""
        paths = self.check.blocks(("routes",))
        self.unique(paths, lambda path: self.check.block(path).get("name"), "the route name `{}` is used twice")
        for path in paths:
            if self.check.block(path).get("name") == UNMATCHED:
                message = f"`{UNMATCHED}` is the name of the block that takes what no route wants: choose another"
                self.check.say(message, (*path, "name"))
        return tuple(route for path in paths if (route := self.route(path)))

    def route(self, path: KeyPath) -> Route | None:
        block = self.check.block(path)
        self.name(block.get("name"), (*path, "name"))
        self.sources_named(path)
        shape = self.check.model(RouteShape, path, block)
        told, elsewhere = (*path, "expect", "else"), self.names_of_targets((*path, "to"))
        if shape is None:
            self.targets((*path, "to"), PaceShape(), None, prefer_run=False)
            self.targets(told, PaceShape(), None, prefer_run=True, taken=elsewhere)
            return None
        read = shape.read.read()
        self.reading_fits(read, (*path, "read"))
        targets = self.targets((*path, "to"), shape, read, prefer_run=False)
        others = self.targets(told, shape, read, prefer_run=True, taken=elsewhere)
        return Route(
            name=shape.name,
            when=shape.when.when(),
            final=shape.final,
            read=read,
            to=targets,
            delete=shape.after.delete if shape.after else (),
            where=shape.where,
            expect=_expect(shape.expect, others) if shape.expect else None,
            freshness=shape.freshness.freshness() if shape.freshness else None,
        )

    def reading_fits(self, read: Read, path: KeyPath) -> None:
        """What `read` does, it does with items of datasets."""
        if "items" in read.streams:
            for at, expression in expressions(read.transform, path):
                roots_fit(
                    self.check, expression, {"record"}, "in `read`: say it at the target with `send: records`", at
                )
        elif not read.transform.idle:
            self.check.say("this route reads no items: say at the target what becomes of the others", path)

    def unmatched(self, path: KeyPath) -> Route | None:
        """The block for runs that no route wants; None without one."""
        if self.check.value(path) is None:
            return None
        shape = self.check.model(UnmatchedShape, path, self.check.block(path))
        read = Read(dataset=("default",))
        targets = self.targets((*path, "to"), shape or PaceShape(), read, prefer_run=True)
        return Route(UNMATCHED, When(), True, read, targets)

    def alerts(self, path: KeyPath) -> Alerts | None:
        """Who is told when something needs a person; None without the block."""
        if self.check.value(path) is None:
            return None
        shape = self.check.model(AlertsShape, path, self.check.block(path))
        paths = self.check.blocks((*path, "to"))
        self.unique(paths, self.target_name, "`{}` is told twice: give this one a `name:` of its own")
        found = [self.alert_target(each) for each in paths]
        return Alerts(tuple(filter(None, found)), shape.kinds, shape.at_most) if shape else None

    def alert_target(self, path: KeyPath) -> AlertTarget | None:
        common, options = _split(self.check.block(path), AlertTargetShape)
        self.name(common.get("name"), (*path, "name"))
        shape = self.check.model(AlertTargetShape, path, common)
        module = self.module_of(common.get("sink"), (*path, "sink"))
        if module and not getattr(module, "ALERTS", False):
            self.check.say(f"`{common['sink']}` cannot carry alerts: its type has no way to", (*path, "sink"))
            return None
        own = self.check.model(module.Target, path, options, _keys(AlertTargetShape)) if module else None
        if shape is None or own is None:
            return None
        self.speaks_of_no_run(own, path)
        return AlertTarget(shape.name or shape.sink, shape.sink, own)

    def speaks_of_no_run(self, options: BaseModel, path: KeyPath) -> None:
        """An alert is a document with a name, and belongs to no run."""
        for key, value in options:
            if foreign := sorted(getattr(value, "roots", frozenset[str]()) - {"record", "alert"}):
                known = "`alert`" if "alert" in getattr(value, "names", ()) else "`record.key`"
                self.check.say(f"`{foreign[0]}` has no meaning in an alert: it has {known}", (*path, key))

    def targets(
        self, path: KeyPath, around: PaceShape, read: Read | None, *, prefer_run: bool, taken: Collection[str] = ()
    ) -> tuple[Target, ...]:
        """The targets listed at `path`; `read` is None if the route's own mistakes hide what it reads.

        taken: names that other targets of the route have.
        """
        paths, message = self.check.blocks(path), "`{}` is used twice in this route: give this one a `name:` of its own"
        self.unique(paths, self.target_name, message, taken)
        found = (self.target(each, around, read, prefer_run=prefer_run) for each in paths)
        return tuple(target for target in found if target)

    def names_of_targets(self, path: KeyPath) -> list[str]:
        return [str(self.target_name(each)) for each in self.check.blocks(path)]

    def target_name(self, path: KeyPath) -> Any:
        block = self.check.block(path)
        return block.get("name", block.get("sink"))

    def target(self, path: KeyPath, around: PaceShape, read: Read | None, *, prefer_run: bool) -> Target | None:
        common, options = _split(self.check.block(path), TargetShape)
        self.name(common.get("name"), (*path, "name"))
        if self.target_name(path) == GATE:
            message = f"`{GATE}` is what a route looks at a run by: give this target another `name:`"
            self.check.say(message, (*path, "name" if "name" in common else "sink"))
        self.sources_named(path)
        shape = self.check.model(TargetShape, path, common)
        module = self.module_of(common.get("sink"), (*path, "sink"))
        own = self.check.model(module.Target, path, options, _keys(TargetShape)) if module else None
        if own is not None:
            self.warn_of_secrets(own, path)
        if shape is None or module is None or own is None or read is None:
            return None
        per, transform = None if writes_whole(module, own) else getattr(own, "per", None), shape.transformation()
        send = self.send(shape, transform, module, read, path, prefer_run=prefer_run or per == "run")
        if send is None:
            return None
        self.fits_per(send, per, own, path)
        self.tells_no_log(send, read, own, path)
        if send == "items":
            self.path_names_dataset(read, own, path)
            self.path_names_no_record(own, path)
        batch, retry, bad_items = pace([shape, around, self.paces[shape.sink], self.defaults])
        when, only = shape.when.when() if shape.when else None, shape.only.only() if shape.only else None
        if only is None and send == "items":
            only = read.only
        steps = (read.transform, transform) if send == "items" else (transform,)
        transform_fits(self.check, send, transform, path)
        only_fits(self.check, send, only, steps, (*path, "only"))
        return Target(shape.name or shape.sink, shape.sink, when, send, batch, retry, own, bad_items, transform, only)

    def module_of(self, sink: Any, path: KeyPath) -> SinkModule | None:
        defined = self.check.block(("sinks",))
        if isinstance(sink, str) and sink not in defined:
            known = f"{guess(sink, defined)}defined are {', '.join(defined) or 'none'}"
            self.check.say(f"no sink `{sink}` is defined: {known}", path)
        return self.modules.get(sink) if isinstance(sink, str) else None

    def send(
        self,
        shape: TargetShape,
        transform: Transform,
        module: SinkModule,
        read: Read,
        path: KeyPath,
        *,
        prefer_run: bool,
    ) -> Send | None:
        if shape.send:
            self.sendable(shape.send, transform, shape.sink, module, read, (*path, "send"))
            return shape.send
        others = module.TAKES - ({"run"} if "log" in read.streams else {"run", "log"})
        if "run" in module.TAKES and (prefer_run or not others):
            return "run"
        both: list[Send] = [stream for stream in read.streams if stream in module.TAKES]
        if len(both) == 1:
            return both[0]
        if both:
            message = f"this route reads {_words(both)} and `{shape.sink}` takes each: say which with `send: {both[0]}`"
        else:
            message = f"`{shape.sink}` takes {_words(module.TAKES)}, but this route reads {_words(read.streams)}"
        self.check.say(message, (*path, "sink"))
        return None

    def sendable(
        self, send: Send, transform: Transform, sink: str, module: SinkModule, read: Read, path: KeyPath
    ) -> None:
        if as_rows(send, transform):
            if "items" not in module.TAKES:
                message = f"`{sink}` cannot take rows, which `fields` makes of {send}: it takes {_words(module.TAKES)}"
                self.check.say(message, path)
        elif send not in module.TAKES:
            rows = (
                ": name the `fields` to make rows of" if "items" in module.TAKES and send in {"records", "run"} else ""
            )
            self.check.say(f"`{sink}` cannot take {send}: it takes {_words(module.TAKES)}{rows}", path)
        elif send != "run" and send not in read.streams:
            self.check.say(f"this route reads no {send}: add `{_READ_LINES[send]}` to its `read:`", path)

    def fits_per(self, send: Send, per: str | None, options: Any, path: KeyPath) -> None:
        """A run has neither batches nor items; what goes per run gets no items either."""
        if send == "items" and per == "run":
            self.check.say("`per: run` gets the run and no items: leave out `send`", (*path, "send"))
        if send == "run" and per in {"batch", "item"}:
            self.check.say(f"a run has no {per}: leave out `per`", (*path, "per"))
        for option in ("input", "body", "path"):
            told = {"item", "items", "batch"} & getattr(getattr(options, option, None), "roots", frozenset[str]())
            if send not in {"items", "requests"} and told:
                self.check.say(f"`{min(told)}` has no meaning with `send: {send}`", (*path, option))

    def tells_no_log(self, send: Send, read: Read, options: BaseModel, path: KeyPath) -> None:
        """The end of the log is told by those that are sent it."""
        cure = f"leave out `send: {send}`" if read.log_tail else f"add `{_READ_LINES['log']}` to the route's `read:`"
        for key, value in options:
            if send != "log" and "log_tail" in getattr(value, "roots", ()):
                self.check.say(f"`log_tail` has no meaning here: {cure}", (*path, key))

    def path_names_dataset(self, read: Read, options: Any, path: KeyPath) -> None:
        template = getattr(options, "path", None)
        several = len(read.dataset) > 1 or any("*" in alias for alias in read.dataset)
        if several and template is not None and not _EACH_DATASET.search(str(template)):
            message = (
                "this route reads several datasets, which would overwrite each other: put {{ dataset }} into `path`"
            )
            self.check.say(message, (*path, "path"))

    def path_names_no_record(self, options: Any, path: KeyPath) -> None:
        if "record" in getattr(getattr(options, "path", None), "roots", ()):
            self.check.say("`record` has no meaning in a path for items", (*path, "path"))

    def warn_of_secrets(self, options: BaseModel, path: KeyPath) -> None:
        """Sinks and targets are part of the document that each delivery is planned with; sources are not."""
        for at in self.check.written_out(options, path):
            self.check.warn(_WRITTEN_OUT, at)

    def sources_named(self, path: KeyPath) -> None:
        """Sources that a `when` at `path` names must exist."""
        for below in ((*path, "when"), (*path, "when", "not")):
            named = self.check.block(below).get("source", [])
            for index, source in enumerate(named if isinstance(named, list) else [named]):
                if "*" not in str(source):
                    self.source_exists(source, (*below, "source", index)[: None if isinstance(named, list) else -1])

    def source_exists(self, source: Any, path: KeyPath) -> None:
        """A route that is restored knows no sources: then there is nothing to hold the name against."""
        known = self.check.block(("sources",))
        if known and isinstance(source, str) and source not in known:
            others = f"{guess(source, known)}defined are {', '.join(known)}"
            self.check.say(f"no source `{source}` is defined: {others}", path)

    def names(self, path: KeyPath) -> list[str]:
        """The keys of the blocks in the block at `path`, each held against the pattern for names."""
        found = [str(below[-1]) for below in self.check.blocks(path)]
        for name in found:
            self.name(name, (*path, name), key=True)
        return found

    def name(self, name: Any, path: KeyPath, *, key: bool = False) -> None:
        if isinstance(name, str) and not _NAME.fullmatch(name):
            self.check.say(f"`{name}` is no name: {NAME_ADVICE}", path, key=key)

    def unique(
        self,
        paths: Iterable[KeyPath],
        name_of: Callable[[KeyPath], Any],
        message: str,
        taken: Collection[str] = (),
    ) -> None:
        seen = set(taken)
        for path in paths:
            name = name_of(path)
            if isinstance(name, str) and name in seen:
                where = "name" if "name" in self.check.block(path) else "sink"
                self.check.say(message.format(name), (*path, where))
            seen.add(str(name))


def _expect(shape: ExpectShape, to: tuple[Target, ...]) -> Expect:
    items, cost = shape.items or ItemsShape.model_construct(), shape.cost or CostShape.model_construct()
    return Expect(
        min_items=items.min,
        max_items=items.max,
        drop_from_usual=items.drop_from_usual,
        filled=shape.filled or {},
        schema=shape.schema_,
        max_usd=cost.max_usd,
        max_usd_per_1000=cost.max_usd_per_1000,
        to=to,
    )


def _split(block: dict[str, Any], shape: type[Shape]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A block's common keys, and the others."""
    common = _keys(shape)
    return (
        {key: value for key, value in block.items() if key in common},
        {key: value for key, value in block.items() if key not in common},
    )


def _keys(shape: type[Shape]) -> set[str]:
    return {info.alias or name for name, info in shape.model_fields.items()}


def _words(streams: Iterable[str]) -> str:
    return ", ".join(sorted(streams))
