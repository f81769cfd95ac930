"""What can be said of every sink: from its docstring, its options and its `ABOUT`, so that no page lags behind."""

import ast
import inspect
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from config import plugins
from config.contracts.sink import About
from console.options import Option, options


@dataclass(frozen=True, slots=True)
class Page:
    """Everything of one type of sink.

    Attributes:
        type: what `type:` names.
        text: the module's docstring.
        takes: the streams it can take, in order.
        missing: what to install before it can be used; then its options are not known.
    """

    type: str
    text: str
    takes: tuple[str, ...] = ()
    alerts: bool = False
    about: About | None = None
    config: tuple[Option, ...] = ()
    target: tuple[Option, ...] = ()
    missing: str = ""

    @property
    def summary(self) -> str:
        """Its first sentence."""
        return self.text.split(". ")[0].split("\n\n")[0].replace("\n", " ").rstrip(".") + "."


def pages() -> list[Page]:
    """Every type that needs no dot, in alphabetical order; those that cannot be loaded say what they need."""
    return [page(name) for name in plugins.known("workers.sinks", plugins.SINKS)]


def page(type: str) -> Page:
    """Raises PluginMissing if there is no such type."""
    name = plugins.SYNONYMS.get(type, type)
    if name not in plugins.known("workers.sinks", plugins.SINKS):
        plugins.load("workers.sinks", type, plugins.SINKS)
    try:
        return _of(name, plugins.load("workers.sinks", type, plugins.SINKS))
    except plugins.PluginMissing as exc:
        return _read(name, exc.message)


def _read(type: str, missing: str) -> Page:
    """What the source of one of ours says, which cannot be imported."""
    spec = find_spec(f"workers.sinks.{type}")
    if spec is None or spec.origin is None:
        return Page(type, "", missing=missing)
    source = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return Page(type, ast.get_docstring(source) or "", about=_written_about(source), missing=missing)


def _written_about(source: ast.Module) -> About | None:
    """Its `ABOUT`, whose parts are literals."""
    for one in source.body:
        match one:
            case ast.Assign(targets=[ast.Name("ABOUT")], value=ast.Call(keywords=parts)):
                return About(**{str(part.arg): ast.literal_eval(part.value) for part in parts})
    return None


def _of(type: str, module: ModuleType) -> Page:
    order = ("items", "records", "requests", "run", "log")
    return Page(
        type=type,
        text=inspect.cleandoc(module.__doc__ or ""),
        takes=tuple(stream for stream in order if stream in module.TAKES),
        alerts=getattr(module, "ALERTS", False),
        about=getattr(module, "ABOUT", None),
        config=tuple(options(module.Config)),
        target=tuple(options(module.Target)),
    )
