"""Routes files to begin with, one a file; the first line says what for."""

import secrets
from collections.abc import Callable, Mapping
from importlib.resources import files

from console.failures import CommandFailed


def _random() -> str:
    return secrets.token_hex(24)


#: Variables recipes use: a comment for `.env`, and the value to begin with.
_VARIABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "APIFY_TOKEN": ("your API token: Apify Console > Settings > API & Integrations", str),
    "HOOK_SECRET": ("made up for you; webhooks must bring it", _random),
    "DELIVERY_URL": ("where batches are posted", lambda: "https://api.example.com/results"),
    "DELIVERY_SECRET": ("made up for you; whoever takes the batches checks their signature with it", _random),
}
#: What a recipe wants besides or otherwise.
_SPECIAL: Mapping[str, Mapping[str, tuple[str, Callable[[], str]]]] = {
    "emulator": {
        "APIFY_TOKEN": ("the emulator takes any", lambda: "local-token"),
        "RUNRELAY_PUBLIC_URL": ("where the emulator reaches the receiver", lambda: "http://127.0.0.1:8080"),
    },
}


def recipes() -> dict[str, str]:
    """Name → what it is for."""
    found = sorted(each.name for each in files(__name__).iterdir() if each.name.endswith(".yaml"))
    return {name.removesuffix(".yaml"): _text(name).splitlines()[0].lstrip("# ") for name in found}


def recipe(name: str) -> str:
    """Raises CommandFailed if there is none of that name."""
    if name not in recipes():
        raise CommandFailed("recipe_not_found", f"there is no recipe {name!r}; there are {', '.join(recipes())}")
    return _text(f"{name}.yaml")


def variables(name: str) -> dict[str, str]:
    """Lines of a `.env` for a recipe, by variable, with new secrets."""
    used = {key: said for key, said in _VARIABLES.items() if f"${{{key}" in recipe(name)}
    wanted = {**used, **_SPECIAL.get(name, {})}
    return {key: f"# {why}\n{key}={value()}\n" for key, (why, value) in wanted.items()}


def _text(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
