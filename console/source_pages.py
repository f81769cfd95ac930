"""What can be said of every type of sources: from its docstring, its options and its `ABOUT`, so that no page lags
behind."""

import inspect
from dataclasses import dataclass

from config import plugins
from config.contracts.source import AboutSource
from console.options import Option, options


@dataclass(frozen=True, slots=True)
class Page:
    """Everything of one type.

    Attributes:
        type: what `type:` names.
        text: the module's docstring.
        about: None for those of others that do not say it.
    """

    type: str
    text: str
    about: AboutSource | None
    options: tuple[Option, ...]

    @property
    def summary(self) -> str:
        """Its first sentence."""
        return self.text.split(". ")[0].split("\n\n")[0].replace("\n", " ").rstrip(".") + "."


def pages() -> list[Page]:
    """Every type that needs no dot and can be loaded: Apify's first, then in alphabetical order, and last the one for
    platforms that have none of their own."""
    order = {"apify": 0, "generic": 2}
    found = []
    for name in sorted(plugins.known("config.sources", plugins.SOURCES), key=lambda name: order.get(name, 1)):
        try:
            found.append(page(name))
        except plugins.PluginMissing:  # of somebody else's package, which then says so itself
            continue
    return found


def page(type: str) -> Page:
    """Raises PluginMissing if there is no such type, or if it cannot be loaded."""
    module = plugins.load("config.sources", type, plugins.SOURCES)
    text = inspect.cleandoc(module.__doc__ or "")
    return Page(type, text, getattr(module, "ABOUT", None), tuple(options(module.Config)))
