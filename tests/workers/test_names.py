"""Names and accounts are asked for once an hour."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import pytest

from config.contracts.api import Api
from config.contracts.errors import Unauthorized
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Source
from config.routes import load
from workers import names as module
from workers.names import NAMES, Names, mentioned, uses_event

API = cast(Api, None)
PROGRAMS = frozenset({"actor", "task"})


@dataclass
class Platform:
    """Those methods of a source that tell names. `asked`: every question."""

    name: str = "apify"
    refuses: bool = False
    asked: list[str] = field(default_factory=list)

    def _answer(self, question: str) -> str:
        self.asked.append(question)
        if self.refuses:
            raise Unauthorized(Reason.SOURCE_TOKEN_REFUSED)
        return f"{self.name} {question}"

    async def account(self, api: Api, /) -> str:
        return self._answer("account")

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        return self._answer(f"actor {actor_id}")

    async def task_name(self, api: Api, task_id: str, /) -> str:
        return self._answer(f"task {task_id}") if task_id else ""

    async def schedule_name(self, api: Api, schedule_id: str, /) -> str:
        return self._answer(f"schedule {schedule_id}")

    async def build_tags(self, api: Api, run: Run, /) -> tuple[str, ...]:
        return (self._answer(f"build {run.build}"),)

    @property
    def source(self) -> Source:
        return cast(Source, self)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def run(actor: str = "a1", task: str = "") -> Run:
    return Run(
        id="r",
        source="apify",
        status="SUCCEEDED",
        terminal=True,
        life="l",
        finished=1.0,
        account="u",
        actor_id=actor,
        task_id=task,
    )


async def test_a_run_gets_its_names_and_keeps_the_rest() -> None:
    platform = Platform()
    named = await Names().named(platform.source, API, run(task="t1"), PROGRAMS)
    assert (named.actor, named.task) == ("apify actor a1", "apify task t1")
    assert (named.id, named.actor_id, named.task_id, named.account) == ("r", "a1", "t1", "u")


async def test_only_what_is_wanted_is_asked_for() -> None:
    platform, one = Platform(), msgspec.structs.replace(run(task="t1"), build="0.1.2", schedule_id="s1")
    assert await Names().named(platform.source, API, one, frozenset()) == one
    assert platform.asked == []
    named = await Names().named(platform.source, API, one, NAMES)
    assert (named.actor, named.task, named.schedule) == ("apify actor a1", "apify task t1", "apify schedule s1")
    assert platform.asked == ["actor a1", "task t1", "schedule s1", "build 0.1.2"]


async def test_the_tag_a_run_was_asked_for_by_stays_when_the_others_are_learned() -> None:
    platform, names = Platform(), Names()
    one = msgspec.structs.replace(run(), build="0.1.2", tags=("beta",))
    other = msgspec.structs.replace(run(), build="0.1.2")
    assert (await names.named(platform.source, API, one, NAMES)).tags == ("beta", "apify build 0.1.2")
    assert (await names.named(platform.source, API, other, NAMES)).tags == ("apify build 0.1.2",)
    assert platform.asked.count("build 0.1.2") == 1


async def test_builds_without_a_number_do_not_share_their_tags() -> None:
    platform, names = Platform(), Names()
    for one in ("r1", "r2"):
        await names.named(platform.source, API, msgspec.structs.replace(run(), id=one), frozenset({"build"}))
    assert len(platform.asked) == 2


@pytest.mark.parametrize(
    ("when", "target", "names"),
    [
        ("{status: SUCCEEDED}", "{sink: disk}", set()),
        ("{origin: API, not: {actor: acme/shop}}", "{sink: disk}", {"actor"}),
        ("{schedule: nightly}", "{sink: disk, when: {build: latest}}", {"schedule", "build"}),
        ("{}", '{sink: disk, path: "{{ task.name }}.jsonl"}', {"task"}),
        ("{}", '{sink: disk, path: "{{ run.buildNumber }}.jsonl"}', set()),
        ("{}", "{sink: far}", {"actor", "task"}),
    ],
)
def test_names_are_wanted_where_the_file_mentions_them_or_a_sink_does(
    when: str, target: str, names: set[str], tmp_path: Path
) -> None:
    (tmp_path / "runrelay.yaml").write_text(
        "version: 1\nsources: {apify: {token: t0ken-of-mine}}\n"
        "sinks: {disk: {type: file, base: r/}, far: {type: http, url: 'http://far.example'}}\n"
        f"routes: [{{name: one, when: {when}, to: [{target}]}}]\n"
    )
    assert mentioned(load(tmp_path / "runrelay.yaml", {})) == names


async def test_each_is_asked_for_once_an_hour(clock: Clock) -> None:
    platform, names = Platform(), Names()
    for _ in range(3):
        await names.named(platform.source, API, run(task="t1"), PROGRAMS)
        assert await names.account(platform.source, API) == "apify account"
        clock.now += 1199.0
    assert platform.asked == ["actor a1", "task t1", "account"]
    clock.now += 3.0
    await names.named(platform.source, API, run(task="t1"), PROGRAMS)
    await names.account(platform.source, API)
    assert platform.asked == ["actor a1", "task t1", "account"] * 2


async def test_accounts_do_not_share_their_names() -> None:
    one, other, names = Platform("one"), Platform("other"), Names()
    assert await names.account(one.source, API) == "one account"
    assert await names.account(other.source, API) == "other account"
    assert (await names.named(other.source, API, run(), PROGRAMS)).actor == "other actor a1"
    assert (await names.named(one.source, API, run(), PROGRAMS)).actor == "one actor a1"


async def test_a_refusal_is_not_remembered() -> None:
    platform, names = Platform(refuses=True), Names()
    with pytest.raises(Unauthorized):
        await names.account(platform.source, API)
    platform.refuses = False
    assert await names.account(platform.source, API) == "apify account"


async def test_what_was_asked_for_again_is_not_the_oldest(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    platform, names = Platform(), Names()
    await names.account(platform.source, API)
    await names.named(platform.source, API, run("a1", "t"), PROGRAMS)
    clock.now += 3601.0
    await names.account(platform.source, API)
    await names.named(platform.source, API, run("a2", "t"), PROGRAMS)
    platform.asked.clear()
    await names.account(platform.source, API)
    assert platform.asked == []


async def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    platform, names = Platform(), Names()
    await names.account(platform.source, API)
    for actor in ("a1", "a2", "a3"):
        await names.named(platform.source, API, run(actor, "t"), PROGRAMS)
    platform.asked.clear()
    await names.named(platform.source, API, run("a3", "t"), PROGRAMS)
    await names.account(platform.source, API)
    assert platform.asked == ["account"]


@pytest.mark.parametrize(
    ("sink", "target", "uses"),
    [
        ("{type: stdout}", "{sink: out}", False),
        ("{type: file, base: events/}", "{sink: out, path: 'preventive/{{ run.id }}.jsonl'}", False),
        ("{type: file, base: out/}", "{sink: out, path: '{{ event.eventType }}/{{ run.id }}.jsonl'}", True),
        ("{type: actor, source: apify}", "{sink: out, actor: acme/next, per: run}", True),
    ],
)
def test_a_route_uses_what_the_webhook_said_if_a_template_or_its_sink_does(
    tmp_path: Path, sink: str, target: str, uses: bool
) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(f"""\
version: 1
sources: {{apify: {{token: t0ken-t0ken, webhook: {{secrets: [s3cret]}}}}}}
sinks: {{out: {sink}}}
routes: [{{name: all, to: [{target}]}}]
""")
    table = load(file, {})
    assert uses_event(table, table.routes) is uses
    assert not uses_event(table, [])
