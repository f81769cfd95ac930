"""Routes files to begin with, one a file. The first line says what for, the comment below it how to go on."""

import re
import secrets
from collections.abc import Callable, Mapping
from importlib.resources import files
from itertools import takewhile
from typing import NamedTuple

from config.nearest import guess
from console.failures import CommandFailed


class Variable(NamedTuple):
    """What a recipe takes from the environment, and the value to begin with."""

    name: str
    why: str
    value: str

    @property
    def lines(self) -> str:
        """As a `.env` has it."""
        return f"# {self.why}\n{self.name}={self.value}\n"


def _random() -> str:
    return secrets.token_hex(24)


def _like(example: str) -> Callable[[], str]:
    return lambda: example


#: Variables of recipes: what they are, and what makes the value to begin with.
_VARIABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "APIFY_TOKEN": ("your API token: Apify Console > Settings > API & Integrations", str),
    "HOOK_SECRET": ("made up for you; webhooks must bring it", _random),
    "ITTYBIT_API_KEY": ("the API key of your project: ittybit > API keys", str),
    "REPLICATE_API_TOKEN": ("your API token: Replicate > Account > API tokens", str),
    "REPLICATE_WEBHOOK_SECRET": ("what Replicate signs with: `key` of GET /v1/webhooks/default/secret", str),
    "FIRECRAWL_API_KEY": ("your API key: Firecrawl > API Keys", str),
    "FIRECRAWL_WEBHOOK_SECRET": ("what Firecrawl signs with: Account settings > Advanced", str),
    "GITHUB_REPOSITORY": ("the repository, as owner/name", str),
    "GITHUB_TOKEN": ("a token that may read the repository's Actions: GitHub > Settings > Developer settings", str),
    "DBT_API_URL": ("the API of your account", _like("https://cloud.getdbt.com/api/v2/accounts/1")),
    "DBT_TOKEN": ("a service token: dbt > Account settings > Service tokens", str),
    "DBT_WEBHOOK_SECRET": ("what dbt signs with: it is shown when the webhook is made", str),
    "BRIGHTDATA_API_KEY": ("your API key: Bright Data > Account settings > API keys", str),
    "API_TOKEN": ("what the platform's API wants", str),
    "WEBHOOK_SECRET": ("what the platform signs its webhooks with", str),
    "DATABASE_URL": (
        "the database, special characters as %40",
        _like("postgresql://user:password@127.0.0.1:5432/postgres"),
    ),
    "LAKE_URL": (
        "bucket and prefix: s3://bucket/prefix/, gs://bucket/prefix/, az://container/prefix/",
        _like("s3://my-bucket/apify/"),
    ),
    "LAKE_KEY": ("id of the bucket's access key", _like("my-access-key")),
    "LAKE_SECRET": ("the secret of that key", _like("my-secret-key")),
    "SLACK_URL": (
        "the incoming webhook of a channel: Slack > Apps > Incoming Webhooks; or any URL of apprise",
        _like("https://hooks.slack.com/services/T00000000/B00000000/000000000000000000000000"),
    ),
    "DELIVERY_URL": ("where items are posted", _like("https://api.example.com/results")),
    "DELIVERY_SECRET": ("made up for you; whoever takes the items checks their signature with it", _random),
}
_PUBLIC_URL = "RUNRELAY_PUBLIC_URL"
#: What a recipe wants besides or otherwise.
_SPECIAL: Mapping[str, Mapping[str, tuple[str, Callable[[], str]]]] = {
    "chain": {_PUBLIC_URL: ("where the platform reaches the receiver", _like("https://runrelay.example.com"))},
    "emulator": {
        "APIFY_TOKEN": ("the emulator takes any", _like("local-token")),
        _PUBLIC_URL: ("where the emulator reaches the receiver", _like("http://127.0.0.1:8080")),
    },
    "github-workflow": {"HOOK_SECRET": ("made up for you; the webhook's secret at GitHub", _random)},
    "ittybit": {"HOOK_SECRET": ("made up for you; the last part of the webhook's address", _random)},
}


def recipes() -> dict[str, str]:
    """Name → what it is for."""
    found = sorted(each.name for each in files(__name__).iterdir() if each.name.endswith(".yaml"))
    return {name.removesuffix(".yaml"): _comment(_text(name))[0] for name in found}


def recipe(name: str) -> str:
    """Raises CommandFailed if there is none of that name."""
    if name not in recipes():
        raise CommandFailed("recipe_not_found", f"there is no recipe {name!r}: {_known(name)}")
    return _text(f"{name}.yaml")


def _known(name: str) -> str:
    return f"{guess(name, recipes())}there are {', '.join(recipes())}"


def steps(name: str) -> list[str]:
    """How to go on once it is written, a line each."""
    return [line.removeprefix("  ") for line in _comment(recipe(name))[1:] if line]


def variables(name: str) -> list[Variable]:
    """What a recipe takes from the environment, with new secrets."""
    named = set(re.findall(r"\$\{(\w+)\}", recipe(name)))
    wanted = {**{key: said for key, said in _VARIABLES.items() if key in named}, **_SPECIAL.get(name, {})}
    return [Variable(key, why, value()) for key, (why, value) in wanted.items()]


def _comment(text: str) -> list[str]:
    """The lines of the comment it begins with."""
    return [line[1:].removeprefix(" ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines())]


def _text(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
