"""What a route makes of items, records and the run on their way, as the far side has it in the end."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import installation

ROUTES = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
  books: {type: sqlite, path: "{folder}/books.db"}
routes:
  - name: products
    where: run.usageTotalUsd >= 0
    read:
      where: item.price and item.currency in ['EUR', 'USD']
      fields:
        url: item.url
        title: item.title | trim
        price: item.price | number
        seller: item.seller.name
    to:
      - {sink: disk, name: all, path: all.jsonl}
      - {sink: disk, name: cheap, path: cheap.jsonl, where: item.price < 5, set: {run: run.id}, omit: [seller]}
      - {sink: disk, name: short, path: short.jsonl, fields: [url]}
      - {sink: books, table: products, mode: upsert, key: [url]}
      - {sink: books, name: runs, send: run, table: runs, fields: {id: run.id, status: run.status, items: 1}}
  - name: pictures
    read: {records: ["SHOT-*"]}
    to:
      - sink: books
        send: records
        table: shots
        mode: upsert
        key: [key]
        where: record.size > 2
        fields: {key: record.key, type: record.contentType, bytes: record.size}
      - {sink: disk, path: "shots/{{ record.key }}", where: record.contentType == 'image/png'}
  - name: nobody
    where: run.usageTotalUsd < 0
    to: [{sink: disk, name: never, path: never.jsonl}]
"""
ITEMS: list[Any] = [
    {"url": "u1", "title": "  One ", "price": "9,90 €", "currency": "EUR", "seller": {"name": "A"}, "html": "<p>"},
    {"url": "u2", "title": "Two", "price": "4.50", "currency": "USD"},
    {"url": "u3", "title": "free", "price": 0, "currency": "EUR"},
    {"url": "u4", "price": 7, "currency": "GBP"},
    {"url": "u5"},
]


async def test_what_a_route_makes_of_a_run_arrives(settings: Settings, tmp_path: Path, actors: Path) -> None:
    records = {"SHOT-1": ["image/png", "picture"], "SHOT-2": ["text/plain", "hello"], "SHOT-3": ["image/png", "p"]}
    async with installation(settings, tmp_path, ROUTES, actors) as place:
        run = await place.start("local~pusher", {"rows": ITEMS, "records": records})
        _, deliveries = await place.finished(run["id"])

    assert {one.delivery.target: one.state for one in deliveries} == dict.fromkeys(
        ["all", "cheap", "short", "books", "runs", "disk"], DeliveryState.DELIVERED
    ), [one.detail for one in deliveries]
    assert lines(tmp_path / "results" / "all.jsonl") == [
        {"url": "u1", "title": "One", "price": 9.9, "seller": "A"},
        {"url": "u2", "title": "Two", "price": 4.5, "seller": None},
    ]
    cheap = {"url": "u2", "title": "Two", "price": 4.5, "run": run["id"]}
    assert lines(tmp_path / "results" / "cheap.jsonl") == [cheap]
    assert lines(tmp_path / "results" / "short.jsonl") == [{"url": "u1"}, {"url": "u2"}]
    shots = [path.relative_to(tmp_path / "results").as_posix() for path in (tmp_path / "results/shots").iterdir()]
    assert sorted(shots) == ["shots/SHOT-1.png", "shots/SHOT-3.png"]
    books = sqlite3.connect(tmp_path / "books.db")
    assert books.execute("SELECT url, price, _item FROM products ORDER BY url").fetchall() == [
        ("u1", 9.9, 0),
        ("u2", 4.5, 1),
    ]
    assert books.execute("SELECT id, status, items FROM runs").fetchall() == [(run["id"], "SUCCEEDED", 1)]
    assert books.execute("SELECT key, type, bytes FROM shots ORDER BY key").fetchall() == [
        ("SHOT-1", "image/png", 7),
        ("SHOT-2", "text/plain", 5),
    ]


async def test_receipts_count_what_was_filtered_and_warn_of_what_is_probably_not_meant(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    routes = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: products
    read: {fields: {url: item.url, price: item.cost}}
    to:
      - {sink: disk, name: all, path: all.jsonl}
      - {sink: disk, name: none, path: none.jsonl, where: item.price}
      - {sink: disk, name: odd, path: odd.jsonl, where: item.url > 3}
      - {sink: disk, name: strict, path: strict.jsonl, where: item.url > 3, strict: true}
"""
    async with installation(settings, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"rows": ITEMS})
        _, deliveries = await place.finished(run["id"])
        told = {one.delivery.target: one for one in deliveries}
        kept = await rejects(place, told["strict"].delivery.id)

    rows = {name: one.checkpoint.receipts[0] for name, one in told.items()}
    counts = {name: (row.read, row.filtered, row.rejected, row.delivered, row.status) for name, row in rows.items()}
    assert counts == {
        "all": (5, 0, 0, 5, "balanced"),
        "none": (5, 5, 0, 0, "balanced"),
        "odd": (5, 5, 0, 0, "balanced"),
        "strict": (5, 0, 5, 0, "balanced"),
    }
    assert {name: row.warnings for name, row in rows.items()} == {
        "all": ("`price` is null in every item",),
        "none": ("`where` let none of 5 items through", "`price` is null in every item"),
        "odd": (
            "`where` let none of 5 items through",
            "the types of 5 of 5 items did not fit an expression",
            "`price` is null in every item",
        ),
        "strict": (
            "`where` let none of 5 items through",
            "the types of 5 of 5 items did not fit an expression",
            "`price` is null in every item",
        ),
    }
    assert told["strict"].state is DeliveryState.PARTIAL
    assert [(one["row"], one["why"]) for one in kept] == [(row, kept[0]["why"]) for row in range(5)]


async def rejects(place: Any, delivery: str) -> list[dict[str, Any]]:
    return sorted(map(json.loads, (await place.ledger.rejects(delivery)).values()), key=lambda one: one["row"])


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]
