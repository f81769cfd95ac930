"""Every call of the official clients about datasets' items, made through the async and through the sync client."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import pytest
from apify_client import ApifyClient, ApifyClientAsync
from apify_client.errors import ApifyApiError, NotFoundError

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

openpyxl: Any = import_module("openpyxl")  # it has no types

ITEMS: list[dict[str, Any]] = [
    {"n": 0, "#h": "hidden", "place": {"city": "Brno"}, "tags": [{"t": "a"}, {"t": "b"}]},
    {},
    {"n": 2, "place": {"city": "Praha"}, "tags": []},
]
SCHEMA = {
    "actorSpecification": 1,
    "fields": {"type": "object", "properties": {"n": {"type": "number"}}},
    "views": {"numbers": {"title": "Numbers", "transformation": {"fields": ["n"]}}},
}
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator()


@pytest.fixture(params=["async", "sync"])
def ask(request: pytest.FixtureRequest, emulator: Emulator) -> Ask:
    """Call a method of a dataset's client: `ask(id, "list_items", limit=1)`."""
    address: Any = {"token": "t", "api_url": emulator.url, "api_public_url": emulator.url}
    patient, quick = ApifyClientAsync(**address), ApifyClient(**address)

    async def call(id_: str, name: str, *args: Any, **given: Any) -> Any:
        if request.param == "async":
            return await getattr(patient.dataset(id_), name)(*args, **given)
        return await asyncio.to_thread(getattr(quick.dataset(id_), name), *args, **given)

    return call


@pytest.fixture
async def dataset(emulator: Emulator, ask: Ask) -> str:
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    made = await client.datasets().get_or_create(name="kept", schema=SCHEMA)
    await ask(made.id, "push_items", ITEMS)
    return made.id


@pytest.mark.parametrize(
    ("given", "items"),
    [
        ({}, ITEMS),
        ({"offset": 1, "limit": 1}, [{}]),
        ({"desc": True, "limit": 1}, [ITEMS[2]]),
        ({"clean": True, "fields": ["n"]}, [{"n": 0}, {"n": 2}]),
        ({"skip_empty": True, "skip_hidden": True, "omit": ["tags", "place"]}, [{"n": 0}, {"n": 2}]),
        ({"unwind": ["tags"], "fields": ["t", "n"]}, [{"t": "a", "n": 0}, {"t": "b", "n": 0}, {}]),
        ({"flatten": ["place"], "fields": ["place.city"], "limit": 2}, [{"place.city": "Brno"}, {}]),
        ({"view": "numbers"}, [{"n": 0}, {}, {"n": 2}]),
    ],
)  # fmt: skip
async def test_a_page_is_what_was_asked_for(ask: Ask, dataset: str, given: Any, items: list[Any]) -> None:
    page = await ask(dataset, "list_items", **given)

    assert (page.items, page.total, page.desc) == (items, 3, given.get("desc", False))


async def test_downloads_come_in_all_formats(ask: Ask, dataset: str) -> None:
    async def download(format_: str, **given: Any) -> bytes:
        return bytes(
            await ask(dataset, "get_items_as_bytes", item_format=format_, fields=["n"], skip_empty=True, **given)
        )

    assert json.loads(await download("json")) == [{"n": 0}, {"n": 2}]
    assert await download("jsonl", desc=True, attachment=True) == b'{"n":2}\n{"n":0}\n'
    assert await download("csv") == b"\xef\xbb\xbfn\n0\n2\n"
    bare = await download("csv", bom=False, skip_header_row=True, delimiter=";")
    assert list(csv.reader(io.StringIO(bare.decode()), delimiter=";")) == [["0"], ["2"]]
    sheet = openpyxl.load_workbook(io.BytesIO(await download("xlsx"))).worksheets[0]
    assert list(sheet.iter_rows(values_only=True)) == [("n",), (0,), (2,)]
    root = ElementTree.fromstring(await download("xml", xml_root="all", xml_row="one"))
    assert [(one.tag, one.findtext("n")) for one in root] == [("one", "0"), ("one", "2")]
    feed = ElementTree.fromstring(await download("rss"))
    assert [one.findtext("n") for one in feed.iter("item")] == ["0", "2"]
    assert await download("html") == b"<table><tr><th>n</th></tr><tr><td>0</td></tr><tr><td>2</td></tr></table>"


async def test_iterating_pages_through_everything(emulator: Emulator, dataset: str) -> None:
    address: Any = {"token": "t", "api_url": emulator.url, "api_public_url": emulator.url}
    patient, quick = ApifyClientAsync(**address), ApifyClient(**address)
    await patient.dataset(dataset).push_items([{"n": n} for n in range(2345)])

    assert [item async for item in patient.dataset(dataset).iterate_items()] == [
        *ITEMS,
        *({"n": n} for n in range(2345)),
    ]
    assert await asyncio.to_thread(lambda: len(list(quick.dataset(dataset).iterate_items(clean=True)))) == 2347
    assert [item["n"] async for item in patient.dataset(dataset).iterate_items(desc=True, limit=3)] == [
        2344,
        2343,
        2342,
    ]


async def test_streams_are_read_piece_by_piece(emulator: Emulator, dataset: str) -> None:
    address: Any = {"token": "t", "api_url": emulator.url, "api_public_url": emulator.url}
    patient, quick = ApifyClientAsync(**address), ApifyClient(**address)
    await patient.dataset(dataset).push_items([{"n": n, "pad": "x" * 900} for n in range(6000)])

    def read_whole() -> bytes:
        with quick.dataset(dataset).stream_items(item_format="jsonl", offset=3) as response:
            return b"".join(response.iter_bytes())

    async with patient.dataset(dataset).stream_items(item_format="jsonl", offset=3) as response:
        pieces = [piece async for piece in response.aiter_bytes()]

    assert b"".join(pieces) == await asyncio.to_thread(read_whole)
    assert [json.loads(line)["n"] for line in b"".join(pieces).splitlines()] == list(range(6000))
    assert len(pieces) > 1


async def test_statistics_and_refused_items_and_views_are_understood(ask: Ask, dataset: str) -> None:
    statistics = await ask(dataset, "get_statistics")
    with pytest.raises(ApifyApiError) as refused:
        await ask(dataset, "push_items", [{"n": 1}, {"n": "one"}])
    with pytest.raises(NotFoundError):
        await ask(dataset, "list_items", view="nope")

    assert statistics.field_statistics == {"n": {"min": 0, "max": 2, "nullCount": 0, "emptyCount": 1}}
    assert (refused.value.type, refused.value.status_code) == ("schema-validation-error", 400)
    invalid: Any = refused.value.data["invalidItems"]
    assert [one["itemPosition"] for one in invalid] == [1]
    assert (await ask(dataset, "get")).item_count == 3


async def test_items_are_pushed_and_read_through_a_run_and_through_the_last_run(
    emulator: Emulator, start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    await emulator.stop()
    write_actor("quiet")
    emulator = await start_emulator()
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    run = await client.actor("local/quiet").call(logger=None)
    assert run is not None

    await client.run(run.id).dataset().push_items({"n": 1})
    await client.actor("local/quiet").last_run().dataset().push_items([{"n": 2}, {"n": 3}])

    assert (await client.actor("local/quiet").last_run().dataset().list_items(desc=True)).items == [
        *({"n": 3}, {"n": 2}),
        {"n": 1},
    ]
    assert await client.run(run.id).dataset().get_items_as_bytes(item_format="csv", bom=False) == b"n\n1\n2\n3\n"
    assert (await client.run(run.id).dataset().get_statistics()).field_statistics is None
    root = "/v2/acts/local~quiet/runs/last/dataset/items?format=xml&token=t"
    assert b"<item><n>1</n></item>" in (await emulator.get(root)).body


async def test_the_schema_of_an_actor_holds_for_the_dataset_of_its_runs(
    emulator: Emulator, start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    await emulator.stop()
    definition = write_actor("viewed", "push([{'n': 1, 'm': 2}])") / ".actor"
    definition.mkdir()
    actor = {"actorSpecification": 1, "name": "viewed", "version": "0.0", "storages": {"dataset": SCHEMA}}
    (definition / "actor.json").write_text(json.dumps(actor))
    emulator = await start_emulator()
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)

    run = await client.actor("local/viewed").call(logger=None)

    assert run is not None
    dataset = client.run(run.id).dataset()
    assert (await dataset.list_items(view="numbers")).items == [{"n": 1}]
    with pytest.raises(ApifyApiError, match="Schema validation failed"):
        await dataset.push_items({"n": "one"})
    assert (await dataset.get_statistics()).field_statistics == {
        "n": {"min": 1, "max": 1, "nullCount": 0, "emptyCount": 0}
    }
