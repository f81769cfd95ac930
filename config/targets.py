"""Targets of routes and of alerts: each a sink as it is used there, with the options its module has for that."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from config.checking import Checker
from config.contracts.sink import SinkModule, writes_whole
from config.document import KeyPath
from config.meaning import only_fits, rows_have_key, transform_fits
from config.naming import is_name, sink_exists, sources_exist, unique
from config.route import GATE, AlertTarget, Read, SinkSpec, Target
from config.sending import can_be_sent, options_fit, stream_for
from config.shapes import AlertTargetShape, DefaultsShape, PaceShape, TargetShape, keys, pace, split


@dataclass(slots=True)
class Sinks:
    """What is known of the file's sinks, by name.

    Attributes:
        modules: of each whose type could be loaded.
        paces: what each says for all its targets.
        specs: those that are right.
    """

    modules: dict[str, SinkModule] = field(default_factory=dict)
    paces: dict[str, PaceShape] = field(default_factory=dict)
    specs: dict[str, SinkSpec] = field(default_factory=dict)


class Targets:
    """Makes them. Every method says what is wrong to the checker and goes on."""

    def __init__(self, check: Checker, sinks: Sinks, defaults: DefaultsShape) -> None:
        self.check = check
        self.sinks = sinks
        self.defaults = defaults

    def at(
        self, path: KeyPath, around: PaceShape, read: Read | None, *, prefer_run: bool, taken: Collection[str] = ()
    ) -> tuple[Target, ...]:
        """The targets listed at `path`; `read` is None if the route's own mistakes hide what it reads.

        taken: names that other targets of the route have.
        """
        paths, message = self.check.blocks(path), "`{}` is used twice in this route: give this one a `name:` of its own"
        unique(self.check, paths, self.name, message, taken)
        found = (self.target(each, around, read, prefer_run=prefer_run) for each in paths)
        return tuple(target for target in found if target)

    def names(self, path: KeyPath) -> list[str]:
        """Those of the targets listed at `path`."""
        return [str(self.name(each)) for each in self.check.blocks(path)]

    def name(self, path: KeyPath) -> Any:
        block = self.check.block(path)
        return block.get("name", block.get("sink"))

    def target(self, path: KeyPath, around: PaceShape, read: Read | None, *, prefer_run: bool) -> Target | None:
        common, options = split(self.check.block(path), TargetShape)
        is_name(self.check, common.get("name"), (*path, "name"))
        if self.name(path) == GATE:
            message = f"`{GATE}` is what a route looks at a run by: give this target another `name:`"
            self.check.say(message, (*path, "name" if "name" in common else "sink"))
        sources_exist(self.check, path)
        shape = self.check.model(TargetShape, path, common)
        module = self.module_of(common.get("sink"), (*path, "sink"))
        options = {**self.shared(common.get("sink")), **options}
        own = self.check.model(module.Target, path, options, keys(TargetShape)) if module else None
        if own is not None:
            self.check.warn_of_secrets(own, path)
        if shape is None or module is None or own is None or read is None:
            return None
        return self.fitted(shape, module, own, around, read, path, prefer_run=prefer_run)

    def fitted(
        self,
        shape: TargetShape,
        module: SinkModule,
        own: BaseModel,
        around: PaceShape,
        read: Read,
        path: KeyPath,
        *,
        prefer_run: bool,
    ) -> Target | None:
        """A target whose keys are right, each alone; None if it cannot be told what is sent to it."""
        per, transform = None if writes_whole(module, own) else getattr(own, "per", None), shape.transformation()
        preferred = prefer_run or per == "run"
        send = shape.send or stream_for(self.check, shape.sink, module, read, path, run=preferred)
        if send is None:
            return None
        said_at = (*path, "send" if shape.send else "fields")
        can_be_sent(self.check, send, transform, shape.sink, module, read, said_at)
        options_fit(self.check, send, per, read, own, path)
        batch, retry, bad_items = pace([shape, around, self.sinks.paces[shape.sink], self.defaults])
        when, only = shape.when.when() if shape.when else None, shape.only.only() if shape.only else None
        if only is None and send == "items":
            only = read.only
        steps = (read.transform, transform) if send == "items" else (transform,)
        transform_fits(self.check, send, transform, path)
        only_fits(self.check, send, read, only, steps, (*path, "only"))
        rows_have_key(self.check, own, steps, path)
        return Target(shape.name or shape.sink, shape.sink, when, send, batch, retry, own, bad_items, transform, only)

    def shared(self, sink: Any) -> dict[str, Any]:
        """What a sink says for all its targets."""
        spec = self.sinks.specs.get(sink) if isinstance(sink, str) else None
        names = getattr(spec.config, "SHARED", ()) if spec else ()
        said = {name: getattr(spec.config, name) for name in names} if spec else {}
        return {name: value for name, value in said.items() if value is not None}

    def alerts_at(self, path: KeyPath) -> tuple[AlertTarget, ...]:
        """Who of those listed at `path` can be told."""
        paths = self.check.blocks(path)
        unique(self.check, paths, self.name, "`{}` is told twice: give this one a `name:` of its own")
        found = [self.alert_target(each) for each in paths]
        return tuple(filter(None, found))

    def alert_target(self, path: KeyPath) -> AlertTarget | None:
        common, options = split(self.check.block(path), AlertTargetShape)
        is_name(self.check, common.get("name"), (*path, "name"))
        shape = self.check.model(AlertTargetShape, path, common)
        module = self.module_of(common.get("sink"), (*path, "sink"))
        if module and not getattr(module, "ALERTS", False):
            self.check.say(f"`{common['sink']}` cannot carry alerts: its type has no way to", (*path, "sink"))
            return None
        own = self.check.model(module.Target, path, options, keys(AlertTargetShape)) if module else None
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

    def module_of(self, sink: Any, path: KeyPath) -> SinkModule | None:
        sink_exists(self.check, sink, path)
        return self.sinks.modules.get(sink) if isinstance(sink, str) else None
