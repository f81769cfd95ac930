"""The contract is worth something only if it goes red: each fault is planted in the example, which else keeps it."""

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

import config.sources
import tests.sources
from config.contracts.errors import Forbidden, Permanent, Refused, Transient, Unauthorized, WorkError
from config.contracts.event import Event, Ignored
from config.contracts.kinds import Kind
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Count, Page
from config.webhooks.signatures import Signed
from workers.testing.source_contract import IDLE, RUBBISH, SourceContract, asking

EXAMPLE = Path(__file__).parents[2] / "examples" / "renders-source"
Plant = Callable[[pytest.MonkeyPatch, Any], None]


class Kept(SourceContract):
    ended = "render.ended"
    going_on = "render.started"
    under_way = "rendering"
    failed = "failed"
    signs = True
    tolerance = 300.0


@pytest.fixture
def farms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example's stand-in, and with it the example."""
    for folder in (EXAMPLE, EXAMPLE / "tests"):
        monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module("farm")


def of_the_source(fault: Any, *names: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        for name in names:
            patch.setattr(module.RenderSource, name, fault)

    return plant


def of_the_module(name: str, fault: Any) -> Plant:
    return lambda patch, module: patch.setattr(module, name, fault)


def of_its_runs(**facts: Any) -> Plant:
    """Runs of which this is said whatever they are; a function is asked anew each time."""

    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        told = module.RenderSource.run

        async def run(self: Any, api: Any, run_id: str, said: bytes = b"") -> Run:
            values = {name: fact() if callable(fact) else fact for name, fact in facts.items()}
            run: Run = msgspec.structs.replace(await told(self, api, run_id, said), **values)
            return run

        patch.setattr(module.RenderSource, "run", run)

    return plant


def of_its_events(change: Callable[[Event | Ignored, Mapping[str, str]], Event | Ignored]) -> Plant:
    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        read = module.RenderSource.parse
        patch.setattr(
            module.RenderSource, "parse", lambda self, headers, body: change(read(self, headers, body), headers)
        )

    return plant


def of_its_verdict(status: int, error: WorkError) -> Plant:
    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        right = module.verdict
        patch.setattr(module, "verdict", lambda *said: error if said[0] == status else right(*said))

    return plant


def of_its_pages(change: Callable[[Page], Page]) -> Plant:
    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        read = module.RenderSource.page

        async def page(self: Any, *asked: Any, **how: Any) -> Page:
            return change(await read(self, *asked, **how))

        patch.setattr(module.RenderSource, "page", page)

    return plant


def of_its_files(verdict: Callable[..., WorkError] | None = None, *, token: bool = False) -> Plant:
    def plant(patch: pytest.MonkeyPatch, module: Any) -> None:
        @asynccontextmanager
        async def record(self: Any, api: Any, run: Run, key: Any) -> Any:
            if token:
                patch.setattr(api, "_is_own", lambda url: True)
            async with api.download(key.url, verdict or module.files.verdict) as answer:
                yield module.Document(key=key.key, content_type="", size=None, chunks=answer.chunks)

        patch.setattr(module.RenderSource, "record", record)

    return plant


def nothing(*_: object) -> None:
    """Does not even look."""


def anything(_: bytes) -> Any:
    return importlib.import_module("renders_source").Said("render.ended", "r0")


def anything_at_all(_: bytes) -> Any:
    return importlib.import_module("renders_source").Said("render.ended", "ü" * 200)


def only_known(event: Event | Ignored, _: Mapping[str, str]) -> Event | Ignored:
    if event.kind not in {"render.ended", "render.started"}:
        raise Refused(Kind.EVENT_INVALID, "never heard of it")
    return event


def timeless(patch: pytest.MonkeyPatch, _: Any) -> None:
    patch.setattr(Signed, "_check_moment", nothing)


def event(**facts: Any) -> Plant:
    return of_its_events(lambda event, _: msgspec.structs.replace(event, **facts))


def as_an_event(kind: str) -> Event:
    return Event(id="", source="", run_id="", kind=kind)


def by_its_signature(event: Event | Ignored, headers: Mapping[str, str]) -> Event | Ignored:
    return msgspec.structs.replace(event, id=headers["webhook-signature"])


numbers = itertools.count()
UNAVAILABLE = Transient(Reason.SOURCE_UNAVAILABLE, "HTTP 401 402 403")
REFUSED = Unauthorized(Reason.SOURCE_TOKEN_REFUSED, "HTTP 402 429 503")


async def none_counted(self: Any, api: Any, run: Run, dataset: str) -> Count:
    return Count(rows=1, at=0.0)


FAULTS: list[tuple[str, Plant]] = [
    ("a_genuine_webhook_names_its_run", event(run_id="another")),
    ("a_webhook_with_another_secret_stays_outside", of_the_source(nothing, "verify")),
    ("a_webhook_that_brings_nothing_stays_outside", of_the_source(nothing, "authenticate", "verify")),
    ("an_altered_body_stays_outside_wherever_bodies_are_signed", of_the_source(nothing, "verify")),
    ("a_signature_is_good_for_a_while_if_it_ever_ends", timeless),
    ("rubbish_is_refused_as_such", of_the_module("read_webhook", anything)),
    ("what_names_no_run_never_becomes_an_event", of_the_module("read_webhook", anything)),
    ("a_webhook_that_was_damaged_anywhere_breaks_nothing", of_the_module("read_webhook", anything_at_all)),
    ("the_same_webhook_again_is_the_same_event", of_its_events(
        lambda event, _: msgspec.structs.replace(event, id=str(next(numbers)))
    )),
    ("a_webhook_that_comes_late_is_the_same_event", of_its_events(by_its_signature)),
    ("another_announcement_is_another_event", event(id="the same")),
    ("an_event_of_an_unknown_kind_is_taken_or_ignored", of_its_events(only_known)),
    ("an_event_of_a_run_that_goes_on_is_ignored", of_the_module("Ignored", as_an_event)),
    ("a_run_that_came_to_its_own_end_says_so", of_its_runs(succeeded=False)),
    ("a_run_that_failed_has_ended_too", of_its_runs(succeeded=True)),
    ("a_run_is_the_same_one_however_often_it_is_asked_for", of_its_runs(fields=lambda: {"n": next(numbers)})),
    ("a_run_is_its_accounts_own", of_its_runs(account="somebody")),
    ("a_run_that_goes_on_has_not_ended_whatever_was_announced", of_its_runs(terminal=True)),
    ("a_status_nobody_has_heard_of_is_no_end", of_its_runs(terminal=True)),
    ("a_run_that_finishes_again_has_another_life", of_its_runs(life="always")),
    ("a_run_that_is_not_there_yet_is_found_later", of_its_verdict(404, UNAVAILABLE)),
    ("templates_and_people_see_the_run", of_the_source(lambda self, run: {"run": run.fields}, "describe")),
    ("a_refused_token_pauses_the_source", of_its_verdict(401, Forbidden(Reason.SOURCE_TOKEN_REFUSED, "HTTP 401"))),
    ("an_unpaid_bill_pauses_the_source", of_its_verdict(402, REFUSED)),
    ("what_our_token_may_not_see_is_not_gone", of_its_verdict(403, Permanent(Reason.SOURCE_REFUSED, "HTTP 403"))),
    ("too_many_requests_are_made_again_when_the_platform_says", of_its_verdict(
        429, Transient(Reason.SOURCE_UNAVAILABLE, "HTTP 429")
    )),
    ("trouble_at_the_platform_is_worth_another_try", of_its_verdict(503, REFUSED)),
    ("after_a_refusal_all_goes_on", of_its_runs(terminal=False)),
    ("every_item_arrives_in_order", of_its_pages(
        lambda page: replace(page, lines=b"".join(reversed(page.lines.splitlines(keepends=True))))
    )),
    ("a_run_that_left_nothing_is_no_error", of_the_source(none_counted, "count")),
    ("files_come_with_their_bytes_and_the_token_stays_at_home", of_its_files(token=True)),
    ("a_file_that_is_gone_is_said_to_be", of_its_files(lambda *_: REFUSED)),
]  # fmt: skip
#: For promises with several cases.
CASES: dict[str, Any] = {
    "rubbish_is_refused_as_such": {"body": RUBBISH["noise"]},
    "what_names_no_run_never_becomes_an_event": {"body": IDLE["no id"]},
    "trouble_at_the_platform_is_worth_another_try": {"status": 503},
}


async def kept(promise: str, place: Any, api: Any) -> None:
    test = getattr(Kept(), f"test_{promise}")
    given = {"place": place, "api": api, **CASES.get(promise, {})}
    done = test(**{name: given[name] for name in inspect.signature(test).parameters})
    if inspect.isawaitable(done):
        await done


@pytest.mark.parametrize("promise", [promise for promise, _ in FAULTS])
async def test_the_example_keeps_each_promise(farms: Any, promise: str) -> None:
    async with farms.farm() as place, asking(place.source) as api:
        await kept(promise, place, api)


@pytest.mark.parametrize(("promise", "plant"), FAULTS, ids=[promise for promise, _ in FAULTS])
async def test_the_contract_goes_red(farms: Any, monkeypatch: pytest.MonkeyPatch, promise: str, plant: Plant) -> None:
    plant(monkeypatch, importlib.import_module("renders_source"))
    async with farms.farm() as place, asking(place.source) as api:
        with pytest.raises((AssertionError, pytest.fail.Exception, WorkError, Refused)):
            await kept(promise, place, api)


def test_every_promise_has_been_seen_red() -> None:
    promises = {name for name in vars(SourceContract) if name.startswith("test_")}
    assert {f"test_{promise}" for promise, _ in FAULTS} == promises


def test_every_source_inherits_the_contract() -> None:
    ours = {found.name for found in pkgutil.iter_modules(config.sources.__path__) if not found.name.startswith("_")}
    kept = {found.name for found in pkgutil.iter_modules(tests.sources.__path__) if found.name.endswith("_contract")}
    assert {f"test_{name}_contract" for name in ours} == kept
