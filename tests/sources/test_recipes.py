"""Recipes of other platforms, against what those platforms document: each webhook is signed as the platform does it,
and then all that the run left is read with the workers' own readers.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test
from config.contracts.kinds import Kind
from config.contracts.run import Run
from config.contracts.source import Listing, Source
from config.route import BatchSize
from tests.console.recipe_files import environ
from tests.sources.documented_platform import DATE_SECONDS, Platform, Webhook, served, source_of
from workers.fetch.api import HttpApi, open_session
from workers.fetch.budget import Budget
from workers.fetch.documents import keys
from workers.fetch.reader import DatasetReader
from workers.routing.scope import scope_of

#: `life` of a run whose platform does not say when it ended.
UNKNOWN = "1970-01-01T00:00:00.000Z"
Headers = dict[str, str]
Sign = Callable[[str, Webhook], Headers]


def _hash(secret: bytes, message: bytes) -> bytes:
    return hmac.new(secret, message, hashlib.sha256).digest()


def standard_webhooks(secret: str, webhook: Webhook) -> Headers:
    """The specification, "Signature scheme"; replicate.com/docs, "Verify webhooks"."""
    now = str(int(time.time()))
    signed = b".".join([webhook.headers["webhook-id"].encode(), now.encode(), webhook.body])
    signature = base64.b64encode(_hash(base64.b64decode(secret.removeprefix("whsec_")), signed)).decode()
    return {**webhook.headers, "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}


def hashed(header: str, prefix: str = "") -> Sign:
    """docs.github.com, "Validating webhook deliveries"; docs.firecrawl.dev, "Security"; docs.getdbt.com, "Validate a
    webhook"."""
    return lambda secret, webhook: {
        **webhook.headers,
        header: prefix + _hash(secret.encode(), webhook.body).hex(),
    }


def brought_along(secret: str, webhook: Webhook) -> Headers:
    """docs.brightdata.com, "Scraper async requests", `auth_header`. A secret in the path comes to the same."""
    return {**webhook.headers, "authorization": f"Bearer {secret}"}


@dataclass(frozen=True)
class Told:
    """What a recipe is to make of what its platform documents.

    Attributes:
        secret, token: the variables that hold them.
        refused: the word for a webhook that somebody else signed.
        run: but for `fields`, which are the documented ones at `answer`, or those of the webhook.
        omitted: of these fields.
        gathered: makes these fields of several answers.
        found: what `ended_runs` yields, as (id, status).
    """

    sign: Sign
    secret: str
    run: Run
    items: list[Any] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    token: str = ""
    prefix: str = "Bearer "
    refused: Kind = Kind.SIGNATURE_INVALID
    answer: str = ""
    at: str = ""
    omitted: frozenset[str] = frozenset()
    gathered: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    found: list[tuple[str, str]] = field(default_factory=list)


def ended(source: str, run_id: str, status: str, life: str, finished: float, **more: Any) -> Run:
    """A run that came to its own end, with items that could be asked for."""
    return Run(
        id=run_id,
        source=source,
        status=status,
        terminal=True,
        succeeded=True,
        life=life,
        finished=finished,
        account="",
        datasets={"default": run_id},
        **more,
    )


def page(number: int, title: str, status: int = 200) -> dict[str, Any]:
    metadata = {"title": title, "sourceURL": f"https://example.com/{number}", "statusCode": status}
    return {"markdown": f"# {title}", "metadata": metadata}


def job(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "run_id": 289782451, "name": name, "status": "completed", "conclusion": "success"}


def room(number: int, price: float) -> dict[str, Any]:
    url = f"https://example.com/rooms/{number}"
    return {"url": url, "price": price, "input": {"url": url}}


def with_tasks(answers: Mapping[str, Any]) -> dict[str, Any]:
    """A run of ittybit's with its tasks, and all that they put out in one list."""
    film, talk = (answers[f"/tasks/task_{number}"]["body"] for number in (1, 2))
    found = [
        {"task_id": "task_1", "task_kind": "video", "number": 0, **film["outputs"][0]},
        {"task_id": "task_2", "task_kind": "speech", "number": 0, "kind": "speech", "output": talk["outputs"][0]},
    ]
    return {**answers["/runs/run_1"]["body"], "tasks": [film, talk], "outputs": found}


TOLD: Mapping[str, Told] = {
    "ittybit": Told(
        brought_along,
        "HOOK_SECRET",
        ended(
            "ittybit",
            "run_1",
            "succeeded",
            "2026-11-20T10:00:15.000Z",
            1795168815.0,
            stores={"default": "run_1"},
        ),
        items=[
            {"task_id": "task_2", "task_kind": "speech", "start": 0, "end": 1.5, "text": "hello"},
            {"task_id": "task_2", "task_kind": "speech", "start": 1.5, "end": 2, "text": "world"},
        ],
        files={"task_1-v.mp4": ("video/mp4", b"a film")},
        token="ITTYBIT_API_KEY",
        refused=Kind.TOKEN_INVALID,
        gathered=with_tasks,
        found=[("run_0", "cancelled")],
    ),
    "standard-webhooks": Told(
        standard_webhooks,
        "WEBHOOK_SECRET",
        ended(
            "events",
            "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
            "invoice.paid",
            "2026-11-20T10:00:00.123456Z",
            1795168800.123456,
        ),
        items=[{"invoice": "in_1", "amount": 12.5}, {"invoice": "in_2", "amount": 0}],
    ),
    "replicate": Told(
        standard_webhooks,
        "REPLICATE_WEBHOOK_SECRET",
        ended(
            "replicate",
            "ufawqhfynnddngldkgtslldrkq",
            "succeeded",
            "2026-11-20T10:00:01.5Z",
            1795168801.5,
            actor_id="black-forest-labs/flux-schnell",
            actor="black-forest-labs/flux-schnell",
            stores={"default": "ufawqhfynnddngldkgtslldrkq"},
        ),
        files={
            "out-0.webp": ("image/webp", b"the first picture"),
            "out-1.webp": ("image/webp", b"the second picture"),
        },
        token="REPLICATE_API_TOKEN",
        answer="/v1/predictions/ufawqhfynnddngldkgtslldrkq",
        found=[("ufawqhfynnddngldkgtslldrkq", "succeeded"), ("canceled0", "canceled")],
    ),
    "firecrawl": Told(
        hashed("x-firecrawl-signature", "sha256="),
        "FIRECRAWL_WEBHOOK_SECRET",
        ended("firecrawl", "550e8400-e29b-41d4-a716-446655440000", "completed", UNKNOWN, DATE_SECONDS),
        items=[page(1, "One"), page(2, "Two"), page(3, "Gone", 404)],
        token="FIRECRAWL_API_KEY",
        answer="/v2/crawl/550e8400-e29b-41d4-a716-446655440000",
        omitted=frozenset({"data", "next"}),
    ),
    "github-workflow": Told(
        hashed("x-hub-signature-256", "sha256="),
        "HOOK_SECRET",
        ended(
            "github",
            "289782451",
            "success",
            "2026-11-20T10:04:10Z",
            1795169050.0,
            actor_id="CI",
            actor="CI",
            stores={"default": "289782451"},
        ),
        items=[job(11, "lint"), job(12, "test"), job(13, "wheel")],
        files={"wheel": ("application/zip", b"PK and so on")},
        token="GITHUB_TOKEN",
        answer="/repos/octo-org/octo-repo/actions/runs/289782451",
        found=[("289782451", "success")],
    ),
    "dbt-cloud": Told(
        hashed("authorization"),
        "DBT_WEBHOOK_SECRET",
        ended(
            "dbt",
            "12345",
            "10",
            "2026-11-20 10:02:32.250000+00:00",
            1795168952.25,
            actor_id="Daily Job (dbt build)",
            actor="Daily Job (dbt build)",
            stores={"default": "12345"},
        ),
        items=[
            {"unique_id": "model.shop.orders", "status": "success", "execution_time": 1.5, "message": "SELECT 10"},
            {"unique_id": "test.shop.unique_orders_id", "status": "pass", "execution_time": 0.25, "message": None},
        ],
        files={
            "manifest.json": ("application/json", b'{"nodes": {"model.shop.orders": {}}}'),
            "compiled_shop_models_orders.sql": ("text/plain", b"select 1 as id"),
        },
        token="DBT_TOKEN",
        prefix="Token ",
        answer="/api/v2/accounts/1/runs/12345/?include_related=job",
        at="data",
        found=[("12344", "30")],
    ),
    "bright-data": Told(
        brought_along,
        "HOOK_SECRET",
        ended(
            "brightdata",
            "s_m4x7enmven8djfqak",
            "ready",
            UNKNOWN,
            DATE_SECONDS,
            actor_id="gd_l1vikfnt1wgvvqz95w",
            actor="gd_l1vikfnt1wgvvqz95w",
        ),
        items=[room(1, 50), room(2, 60.5)],
        token="BRIGHTDATA_API_KEY",
        refused=Kind.TOKEN_INVALID,
        answer="/datasets/v3/progress/s_m4x7enmven8djfqak",
    ),
}


@dataclass(frozen=True)
class Stage:
    """A recipe's source, and the platform it talks to."""

    told: Told
    platform: Platform
    source: Source
    secret: str

    def comes(self, webhook: Webhook, *, secret: str = "") -> Event | Ignored | Test:
        """A webhook at the door, as the receiver lets it in."""
        headers = self.told.sign(secret or self.secret, webhook)
        self.source.authenticate(headers.get("authorization", "").removeprefix("Bearer ") or None, headers)
        self.source.verify(headers, webhook.body)
        return self.source.parse(headers, webhook.body)

    def fields(self) -> dict[str, Any]:
        """What is documented of the run."""
        if self.told.gathered:
            return self.told.gathered(self.platform.told["answers"])
        told = self.platform.told
        answer = told["answers"][self.told.answer]["body"] if self.told.answer else told["ended"]["body"]
        found = answer[self.told.at] if self.told.at else answer
        return {name: value for name, value in found.items() if name not in self.told.omitted}


@pytest.fixture(params=TOLD)
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.chdir(tmp_path)
    name, told = request.param, TOLD[request.param]
    values = environ(name)
    async with served(name, told.prefix + values.get(told.token, "")) as platform:
        yield Stage(told, platform, source_of(name, values, platform.api, platform.files), values[told.secret])


async def read(source: Source, api: HttpApi, run: Run) -> list[Any]:
    """Every item, by the workers' reader."""

    async def settled(end: int, expected: int) -> None:
        assert end == expected

    size, dataset = BatchSize(items=2), run.datasets["default"]
    async with DatasetReader(source, api, run, dataset, size, settled, Budget()) as reader:
        lines = b"".join([batch.lines async for batch in reader.batches(0, 0, None)])
    return [msgspec.json.decode(line) for line in lines.splitlines()]


async def kept(source: Source, api: HttpApi, run: Run) -> dict[str, tuple[str, bytes]]:
    """Every file with its type."""
    found = {}
    async for key in keys(source, api, run, None):
        async with source.record(api, run, key) as document:
            found[document.key] = document.content_type, b"".join([chunk async for chunk in document.chunks])
    return found


@asynccontextmanager
async def delivered(stage: Stage) -> AsyncIterator[tuple[HttpApi, Run]]:
    """The run that was announced, and the API it was asked of."""
    event = stage.comes(stage.platform.webhook("ended"))
    assert isinstance(event, Event)
    async with open_session() as session:
        api = HttpApi(session, stage.source.manners)
        yield api, await stage.source.run(api, event.run_id, event.body)


async def test_a_run_that_ended_is_what_the_platform_says_of_it(stage: Stage) -> None:
    async with delivered(stage) as (_, run):
        assert run == msgspec.structs.replace(stage.told.run, fields=stage.fields())


async def test_templates_know_it_by_its_id_and_its_status(stage: Stage) -> None:
    async with delivered(stage) as (_, run):
        said = scope_of(stage.source, run, b"", "")["run"]
    assert said == {**stage.fields(), "id": stage.told.run.id, "status": stage.told.run.status}


async def test_all_its_items_are_read(stage: Stage) -> None:
    async with delivered(stage) as (api, run):
        assert await read(stage.source, api, run) == stage.told.items


async def test_all_its_files_are_read_and_the_token_stays_with_the_api(stage: Stage) -> None:
    async with delivered(stage) as (api, run):
        assert await kept(stage.source, api, run) == stage.told.files
    assert stage.platform.leaks == []


async def test_the_same_webhook_sent_again_is_the_same_event(stage: Stage) -> None:
    once, again = (stage.comes(stage.platform.webhook("ended")) for _ in range(2))
    assert isinstance(once, Event)
    assert once == again


async def test_webhooks_of_other_kinds_are_ignored(stage: Stage) -> None:
    said = [stage.comes(webhook) for webhook in stage.platform.others()]
    assert [type(one) for one in said] == [Ignored] * len(said)


async def test_a_forged_webhook_is_refused(stage: Stage) -> None:
    forged = base64.b64encode(b"somebody else's").decode()
    with pytest.raises(Refused) as refused:
        stage.comes(stage.platform.webhook("ended"), secret=forged)
    assert refused.value.kind == stage.told.refused


async def test_runs_that_nobody_announced_are_found_where_there_is_a_list(stage: Stage) -> None:
    assert isinstance(stage.source, Listing)
    async with open_session() as session:
        found = stage.source.ended_runs(HttpApi(session, stage.source.manners), started_after=0.0)
        told = [(run.id, run.status) async for run in found] if stage.source.reconcile else []
    assert told == stage.told.found


@pytest.mark.parametrize("stage", ["github-workflow"], indirect=True)
async def test_a_ping_only_tries_the_way(stage: Stage) -> None:
    assert stage.comes(stage.platform.webhook("test")) == Test()
