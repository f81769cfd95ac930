"""Puts a checked document together: sources, sinks, routes and their targets."""

from types import ModuleType
from typing import Any, cast

from config import plugins
from config.checking import Checker
from config.contracts.errors import ConfigInvalid
from config.contracts.sink import SinkModule
from config.contracts.source import Source
from config.document import KeyPath
from config.meaning import expect_fits, expressions, roots_fit
from config.naming import is_name, names, source_exists, sources_exist, unique
from config.nearest import nearest
from config.route import UNMATCHED, Alerts, Expect, Read, Route, SinkSpec, SourceSpec, Target, When
from config.shapes import (
    AlertsShape,
    CostShape,
    DefaultsShape,
    ExpectShape,
    ItemsShape,
    PaceShape,
    RouteShape,
    SinkShape,
    SourceShape,
    UnmatchedShape,
    keys,
    split,
)
from config.targets import Sinks, Targets


class Assembly:
    """One document on its way to routes. Every method says what is wrong to the checker and goes on."""

    def __init__(self, check: Checker) -> None:
        self.check = check
        self.defaults = check.model(DefaultsShape, ("defaults",), check.block(("defaults",))) or DefaultsShape()
        self.known = Sinks()
        self.declared: dict[str, SourceSpec] = {}
        self.targets = Targets(check, self.known, self.defaults)

    def sources(self) -> dict[str, Source]:
        """The sources that are right, by name."""
        found = {name: self.source(name, ("sources", name)) for name in names(self.check, ("sources",))}
        return {name: source for name, source in found.items() if source}

    def source(self, name: str, path: KeyPath) -> Source | None:
        common, options = split(self.check.block(path), SourceShape)
        self.check.model(SourceShape, path, common)
        self.check.tell_blanks(path)
        kind = common.get("type", name)
        module = self.plugin("config.sources", plugins.SOURCES, kind, path)
        config = self.check.model(module.Config, path, options, keys(SourceShape)) if module else None
        if module is None or config is None:
            return None
        self.declared[name] = SourceSpec(name, kind, config)
        try:
            return cast("Source", module.connect(name, config))
        except (ConfigInvalid, ValueError) as exc:
            self.check.say(str(exc), path, key=True)
            return None

    def sinks(self) -> dict[str, SinkSpec]:
        """The sinks that are right, by name."""
        for name in names(self.check, ("sinks",)):
            self.sink(name, ("sinks", name))
        return self.known.specs

    def sink(self, name: str, path: KeyPath) -> None:
        common, options = split(self.check.block(path), SinkShape)
        shape = self.check.model(SinkShape, path, common)
        self.known.paces[name] = shape or PaceShape()
        kind = common.get("type", name)
        loaded = self.plugin("workers.sinks", plugins.SINKS, kind, path)
        if loaded is None:
            return
        module = self.known.modules[name] = cast("SinkModule", loaded)
        config = self.check.model(module.Config, path, options, keys(SinkShape))
        if config is not None:
            self.check.warn_of_secrets(config, path)
            source_exists(self.check, getattr(config, "source", None), (*path, "source"))
            self.known.specs[name] = SinkSpec(name, kind, config, module)

    def plugin(self, package: str, group: str, kind: Any, path: KeyPath) -> ModuleType | None:
        if not isinstance(kind, str):
            return None
        try:
            return plugins.load(package, kind, group)
        except plugins.PluginMissing as exc:
            block = self.check.block(path)
            if "type" in block:
                self.check.say(exc.message, (*path, "type"))
            elif meant := nearest("type", block):
                self.check.say(f"there is no key `{meant}` here: did you mean `type`?", (*path, meant), key=True)
            else:
                self.check.say(f"without a `type:` the name is the type; {exc.message}", path, key=True)
            return None

    def routes(self) -> tuple[Route, ...]:
        """Every route, in file order; those with mistakes are left out."""
        paths = self.check.blocks(("routes",))
        unique(self.check, paths, lambda path: self.check.block(path).get("name"), "the route name `{}` is used twice")
        for path in paths:
            if self.check.block(path).get("name") == UNMATCHED:
                message = f"`{UNMATCHED}` is the name of the block that takes what no route wants: choose another"
                self.check.say(message, (*path, "name"))
        return tuple(route for path in paths if (route := self.route(path)))

    def route(self, path: KeyPath) -> Route | None:
        block = self.check.block(path)
        is_name(self.check, block.get("name"), (*path, "name"))
        sources_exist(self.check, path)
        shape = self.check.model(RouteShape, path, block)
        told, elsewhere = (*path, "expect", "else"), self.targets.names((*path, "to"))
        if shape is None:
            self.targets.at((*path, "to"), PaceShape(), None, prefer_run=False)
            self.targets.at(told, PaceShape(), None, prefer_run=True, taken=elsewhere)
            return None
        read = shape.read.read()
        self.reading_fits(read, (*path, "read"))
        targets = self.targets.at((*path, "to"), shape, read, prefer_run=False)
        others = self.targets.at(told, shape, read, prefer_run=True, taken=elsewhere)
        expect = _expect(shape.expect, others) if shape.expect else None
        expect_fits(self.check, read, expect, (*path, "expect"))
        return Route(
            name=shape.name,
            when=shape.when.when(),
            final=shape.final,
            read=read,
            to=targets,
            delete=shape.after.delete if shape.after else (),
            where=shape.where,
            expect=expect,
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
        targets = self.targets.at((*path, "to"), shape or PaceShape(), read, prefer_run=True)
        return Route(UNMATCHED, When(), True, read, targets)

    def alerts(self, path: KeyPath) -> Alerts | None:
        """Who is told when something needs a person; None without the block."""
        if self.check.value(path) is None:
            return None
        shape = self.check.model(AlertsShape, path, self.check.block(path))
        told = self.targets.alerts_at((*path, "to"))
        return Alerts(told, shape.kinds, shape.at_most) if shape else None


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
