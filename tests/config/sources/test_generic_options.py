"""What the file may say of a platform, and what it is told of mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from yamlcore import CCoreLoader

from config.sources.generic import options
from config.sources.generic.options import Config
from tests.config.loading import table, told

ENVIRON = {"API_TOKEN": "canary-token-1", "HOOK_SECRET": "canary-hook-22"}
HOOK: dict[str, Any] = {"webhook": {"secrets": ["${HOOK_SECRET}"]}}
API: dict[str, Any] = {"api": {"url": "https://api.example.com"}}
ASKED: dict[str, Any] = {"run": {"fetch": "/jobs/{id}", "status": "status", "finished": "at"}}
#: Where the keys of each shape stand, and what else must stand there.
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "Config": ("", {}),
    "ApiShape": ("api", {}),
    "EventShape": ("event", {"kind": "type"}),
    "RunShape": ("run", {"status": "status"}),
    "ListShape": ("items", {"fetch": "/rows"}),
    "ItemsShape": ("items", {"fetch": "/rows"}),
    "FilesShape": ("files", {"fetch": "/files"}),
    "RunsShape": ("runs", {"fetch": "/jobs"}),
}
SHAPES = [
    shape
    for shape in vars(options).values()
    if isinstance(shape, type) and issubclass(shape, BaseModel) and shape.__module__ == options.__name__
]
EXAMPLES = [
    (shape.__name__, str(example))
    for shape in SHAPES
    for info in shape.model_fields.values()
    for example in info.examples or ()
]


def file(said: dict[str, Any]) -> str:
    """A whole file with a source that says this."""
    return json.dumps(
        {
            "version": 1,
            "sources": {"made": {"type": "generic", **said}},
            "sinks": {"out": {"type": "file", "base": "results/"}},
            "routes": [{"name": "all", "to": [{"sink": "out"}]}],
        }
    )


@pytest.mark.parametrize(("shape", "example"), EXAMPLES)
def test_an_example_loads_in_its_place(shape: str, example: str, tmp_path: Path) -> None:
    place, needed = PLACES[shape]
    value = yaml.load(example, CCoreLoader)  # the safe loader, of the types that JSON has
    block = {**needed, **value}
    said: dict[str, Any] = {**HOOK, **API, **ASKED}
    said |= {place: {**said.get(place, {}), **block}} if place else block
    assert table(tmp_path, file(said), ENVIRON).sources["made"].name == "made"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.__name__))
def test_every_key_has_a_description(shape: type[BaseModel]) -> None:
    for name, info in shape.model_fields.items():
        assert name in {"style", "file_origins"} or (info.description or "").endswith("."), name


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to hear": ({}, "nothing is ever heard of it: add `webhook`, or `runs` and `reconcile`"),
    "run without an API": (
        HOOK | ASKED,
        "`run.fetch` asks an API that the file does not describe: add `api`",
    ),
    "items without an API": (
        HOOK | {"items": {"fetch": "/rows"}},
        "`items.fetch` asks an API that the file does not describe: add `api`",
    ),
    "download without an API": (
        HOOK | {"files": {"download": "/files/{name}"}},
        "`files.download` asks an API that the file does not describe: add `api`",
    ),
    "download of nothing": (
        HOOK | API | {"files": {"download": "/files"}},
        "`files.download` needs `{name}`: every file would be the same",
    ),
    "pages of a run": (
        HOOK | {"items": {"at": "data", "paging": "link"}},
        "`items.paging` needs `items.fetch`: what stands in the run has no pages",
    ),
    "run without its id": (
        HOOK | API | {"run": {"fetch": "/jobs/latest"}},
        "`run.fetch` needs `{id}`, and knows nothing else: the rest is not known before it is asked",
    ),
    "run of something": (
        HOOK | API | {"run": {"fetch": "/{team}/jobs/{id}"}},
        "`run.fetch` needs `{id}`, and knows nothing else: the rest is not known before it is asked",
    ),
    "runs of a run": (
        HOOK | API | {"runs": {"fetch": "/jobs/{id}"}},
        "`runs.fetch` is asked without a run: it has nothing in braces",
    ),
    "runs from nowhere": (HOOK | API | {"runs": {"at": "data"}}, "sources.made.runs.fetch: `fetch` is required"),
    "reconcile without runs": (
        HOOK | API | ASKED | {"reconcile": {}},
        "`reconcile` needs `runs.fetch`: where runs are listed",
    ),
    "reconcile without run": (
        HOOK | API | {"runs": {"fetch": "/jobs"}, "reconcile": {}},
        "`reconcile` needs `run.fetch`: where a run that is found is asked for",
    ),
    "reconcile without an end": (
        HOOK | API | {"run": {"fetch": "/jobs/{id}"}, "runs": {"fetch": "/jobs"}, "reconcile": {}},
        "`reconcile` needs `run.finished`: without it nobody knows which runs have only just ended",
    ),
    "kinds from nowhere": (
        HOOK | {"event": {"ended": ["done"]}},
        "`event.ended` needs `event.kind`: where the word stands",
    ),
    "tests from nowhere": (
        HOOK | {"event": {"tests": "ping"}},
        "`event.tests` needs `event.kind`: where the word stands",
    ),
    "words from nowhere": (
        HOOK | {"run": {"succeeded": "done"}},
        "`run.succeeded` needs `run.status`: where the word stands",
    ),
    "words of a header": (
        HOOK | {"event": {"kind": "header:x-event"}, "run": {"failed": "broken"}},
        "`run.failed` needs `run.status`, in the body: headers, where `event.kind` looks, are not kept",
    ),
    "words of a header or a body": (
        HOOK | {"event": {"kind": ["type", "header:x-event"]}, "run": {"succeeded": "done"}},
        "`run.succeeded` needs `run.status`, in the body: headers, where `event.kind` looks, are not kept",
    ),
    "words of a header that chooses": (
        HOOK | {"event": {"kind": "header:x-event", "ended": "done"}, "run": {"succeeded": "done"}},
        "`run.succeeded` needs `run.status`, in the body: headers, where `event.kind` looks, are not kept",
    ),
    "a status in a header": (
        HOOK | {"event": {"kind": ["header:x-event", "type"]}},
        "`event.kind` stands for `run.status`, and headers are not kept: set `run.status`, in the body",
    ),
    "one parameter for two": (
        HOOK | API | {"items": {"fetch": "/rows", "paging": {"style": "offset", "offset": "n", "limit": "n"}}},
        "sources.made.items.paging: `n` cannot be two parameters: how far to go, and how many are wanted",
    ),
    "one parameter for a page": (
        HOOK | API | {"items": {"fetch": "/rows", "paging": {"style": "page", "page": "limit"}}},
        "sources.made.items.paging: `limit` cannot be two parameters: how far to go, and how many are wanted",
    ),
    "words that clash": (
        HOOK | {"run": {"status": "s", "succeeded": ["done", "over"], "failed": "over"}},
        "`over` stands under `run.succeeded` and `run.failed`",
    ),
    "left out": (
        HOOK | {"run": {"omit": "data"}, "items": {"at": "data.rows"}},
        "`run.omit` leaves out what `items.at` reads in the run",
    ),
    "left out of the status": (
        HOOK | API | {"run": {"fetch": "/jobs/{id}", "status": "meta.state", "omit": ["logs", "meta"]}},
        "`run.omit` leaves out what `run.status` reads in the run",
    ),
    "left out of a path": (
        HOOK | API | {"run": {"omit": "team"}, "files": {"download": "/{team.id}/{name}"}},
        "`run.omit` leaves out what `files.download` reads in the run",
    ),
    "a step up": (
        HOOK | API | {"items": {"fetch": "/a/../b"}},
        "a path below `api.url`, without steps up and without `#`",
    ),
    "another host": (
        HOOK | API | {"items": {"fetch": "//elsewhere.example/a"}},
        "a path below `api.url`, without steps up and without `#`",
    ),
    "open braces": (
        HOOK | API | {"items": {"fetch": "/a/{id"}},
        "in braces stands `id`, or where the run has something else, such as {repository.name}",
    ),
    "empty braces": (
        HOOK | API | {"items": {"fetch": "/a/{}"}},
        "in braces stands `id`, or where the run has something else, such as {repository.name}",
    ),
    "an empty token": (
        HOOK | {"api": {"url": "https://api.example.com", "token": ""}},
        "the token is empty: set the variable it is filled from (leave `token` out if the API wants none)",
    ),
    "a header of two lines": (
        HOOK | {"api": {"url": "https://api.example.com", "headers": {"accept": "a\nb"}}},
        "no header can bring this value: ASCII without line breaks",
    ),
    "the metadata service": (
        HOOK | {"api": {"url": "http://169.254.169.254/latest"}},
        "link-local and metadata addresses are never asked",
    ),
    "a password in the address": (
        HOOK | {"api": {"url": "https://name:canary-password@api.example.com"}},
        "runrelay.yaml:1:115: sources.made.api.url: no name and no password stand in this address: "
        "a token has a key of its own",
    ),
    "a query in the address": (
        HOOK | {"api": {"url": "https://api.example.com/?key=canary"}},
        "runrelay.yaml:1:115: sources.made.api.url: an address without `?` and what follows it: "
        "paths are put behind it",
    ),
    "a fragment in the address": (
        HOOK | {"api": {"url": "https://api.example.com#v1"}},
        "runrelay.yaml:1:115: sources.made.api.url: an address without `#` and what follows it: "
        "paths are put behind it",
    ),
    "a prefix of two lines": (
        HOOK | {"api": {"url": "https://api.example.com", "token_prefix": "a\nb"}},
        "api.token_prefix: no header can bring this value: ASCII without line breaks",
    ),
    "a token beyond ASCII": (
        HOOK | {"api": {"url": "https://api.example.com", "token": "canary–token"}},
        "api.token: the token holds a character beyond ASCII, which none has: copy it once more",
    ),
    **{
        f"a {name} of its own": (
            HOOK | {"api": {"url": "https://api.example.com", "headers": {name: "1"}}},
            f"api.headers.{name}: `{name.lower()}` is made by whoever sends a request: leave it out",
        )
        for name in ("Host", "content-length", "Transfer-Encoding")
    },
    "a token as the host": (
        HOOK | {"api": {"url": "https://api.example.com", "token_header": "Host"}},
        "api.token_header: `host` is made by whoever sends a request: leave it out",
    ),
    "a number for a scheme": (
        {"webhook": {"secrets": ["${HOOK_SECRET}"], "verify": 5}},
        "webhook.verify: must be a mapping, not the number 5 · Example: `verify: standard_webhooks`",
    ),
    "a list for a scheme": (
        {"webhook": {"secrets": ["${HOOK_SECRET}"], "verify": [1]}},
        "webhook.verify: must be a mapping, not a list · Example: `verify: standard_webhooks`",
    ),
    "a list for a style": (
        HOOK | API | {"items": {"fetch": "/rows", "paging": ["offset"]}},
        "items.paging: must be a mapping, not a list · Example: `paging: next`",
    ),
    "a place with a gap": (
        HOOK | API | {"items": {"fetch": "/rows", "at": "a..b"}},
        "items.at: must be keys and places in lists joined by dots, such as `data.items.0` · Example: `at: data`",
    ),
    "a place of two lines": (
        HOOK | API | {"items": {"fetch": "/rows", "at": "a\n"}},
        "items.at: must be keys and places in lists joined by dots, such as `data.items.0` · Example: `at: data`",
    ),
    "a place in an event with a gap": (
        HOOK | {"event": {"id": ["id", "a..b"]}},
        "event.id[1]: must be keys and places in lists joined by dots, such as `data.items.0`, or `header:<name>` · ",
    ),
    "a path without its beginning": (
        HOOK | API | {"items": {"fetch": "rows"}},
        "items.fetch: must be a path that begins with `/`, in ASCII without blanks (`%20`) · ",
    ),
    "a header of two words": (
        {"webhook": {"secrets": ["${HOOK_SECRET}"], "verify": {"scheme": "hmac", "header": "My Header"}}},
        "verify.header: must be the name of a header, such as `X-Signature` · ",
    ),
}


@pytest.mark.parametrize(("said", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_with_its_cure(said: dict[str, Any], line: str, tmp_path: Path) -> None:
    problems = told(tmp_path, file(said), ENVIRON)
    assert len(problems) == 1
    assert line in problems[0]
    assert "canary" not in problems[0]


def test_all_that_does_not_fit_together_is_said_at_once(tmp_path: Path) -> None:
    said = {"event": {"tests": "ping"}, "items": {"fetch": "/rows"}, "run": {"succeeded": "done"}}
    (problem,) = told(tmp_path, file(said), ENVIRON)
    assert problem.partition("made: ")[2] == (
        "`items.fetch` asks an API that the file does not describe: add `api`; "
        "nothing is ever heard of it: add `webhook`, or `runs` and `reconcile`; "
        "`event.tests` needs `event.kind`: where the word stands; "
        "`run.succeeded` needs `run.status`: where the word stands"
    )


@pytest.mark.parametrize(
    ("event", "run"),
    [
        ({"kind": "header:x-event", "ended": "done"}, {}),
        ({"kind": "header:x-event", "tests": "ping"}, {}),
        ({"kind": "header:x-event"}, {"status": "state", "succeeded": "done"}),
        ({"kind": ["type", "action"]}, {"succeeded": "done"}),
    ],
)
def test_a_header_may_say_what_needs_not_be_kept(event: dict[str, Any], run: dict[str, Any]) -> None:
    assert Config.model_validate({**HOOK, "event": event, "run": run}).run.status == (
        ("state",) if "status" in run else None
    )


def test_what_is_written_short_means_the_same() -> None:
    short = {"id": "a.b", "kind": "header:X-Event", "ended": "done"}
    long = {"id": ["a.b"], "kind": ["header:x-event"], "ended": ["done"]}
    paging = [
        Config.model_validate({**HOOK, **API, "items": {"fetch": "/a", "paging": way}})
        for way in ("link", {"style": "link"})
    ]
    assert Config.model_validate({**HOOK, "event": short}) == Config.model_validate({**HOOK, "event": long})
    assert paging[0] == paging[1]
