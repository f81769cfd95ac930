"""What routing costs: an item that is filtered and mapped, a run that is matched, a file that is checked.

`python -m benchmarks.routing` prints them. Items are beside a plain Python function that does the same with the same
decoded items; runs beside a plain loop that asks every route; the file beside its bare parsing.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from rich.console import Console

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.measure import Failed
from benchmarks.pages import item
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.document import read
from config.language.expression import Columns, Expression
from config.route import Transform
from config.routes import RouteTable, load
from workers.routing.match import matching
from workers.routing.shaping import Shaper

#: items of one batch, as they are delivered
BATCH = 1000
WHERE = "item.price.amount and item.price.currency in ['EUR', 'USD']"
FIELDS = {
    "url": "item.url",
    "title": "item.title | trim",
    "price": "item.printed | number",
    "seller": "item.seller.name",
    "material": "item.attributes.material",
}


@dataclass(frozen=True)
class Timed:
    """A contender: what it does once, with how many of what is counted, and what must come out of it."""

    does: Callable[[], Any]
    units: int
    expected: Callable[[Any], bool]

    async def sample(self, least: float = 0.2) -> Sample:
        """Seconds of CPU for one unit, in microseconds. Raises Failed if it does not what it should."""
        if not self.expected(self.does()):
            raise Failed("a contender does not what it should")
        times, began = 0, time.process_time()
        while time.process_time() - began < least:
            self.does()
            times += 1
        return {"us": (time.process_time() - began) / times / self.units * 1e6}


QUANTITIES = {"us": "µs of CPU"}


def items() -> list[dict[str, Any]]:
    """Products, with a price as a shop prints it."""
    return [{**json.loads(item(number)), "printed": f"1.{number:03},{number % 100:02} €"} for number in range(BATCH)]


def wanted(one: dict[str, Any]) -> bool:
    """`WHERE` as somebody writes it in Python."""
    price = one.get("price") or {}
    return bool(price.get("amount") and price.get("currency") in ("EUR", "USD"))


def mapped(one: dict[str, Any]) -> dict[str, Any]:
    """`FIELDS` as somebody writes them in Python."""
    price, title = one.get("printed"), one.get("title")
    return {
        "url": one.get("url"),
        "title": title.strip() if title else title,
        "price": float(price.removesuffix(" €").replace(".", "").replace(",", ".")) if price else None,
        "seller": (one.get("seller") or {}).get("name"),
        "material": (one.get("attributes") or {}).get("material"),
    }


async def compare_filter(repetitions: int, seconds: float) -> Comparison:
    batch, where = items(), Expression(WHERE)
    kept = [one for one in batch if wanted(one)]

    def filtered() -> list[Any]:
        return [one for one, value in zip(batch, where.each(batch, {}), strict=True) if value is True]

    return await _compared(
        "A filter, an item",
        {"where": Timed(filtered, BATCH, kept.__eq__)},
        {"a Python function": Timed(lambda: [one for one in batch if wanted(one)], BATCH, kept.__eq__)},
        repetitions,
        seconds,
    )


async def compare_fields(repetitions: int, seconds: float) -> Comparison:
    batch, columns = items(), Columns(_fields())
    made = [mapped(one) for one in batch]
    return await _compared(
        "Five fields, an item",
        {"fields": Timed(lambda: columns.each(batch, {}), BATCH, made.__eq__)},
        {
            "a Python function": Timed(lambda: [mapped(one) for one in batch], BATCH, made.__eq__),
            "msgspec decodes it": Timed(_decoding(batch), BATCH, lambda _: True),
        },
        repetitions,
        seconds,
    )


async def compare_shaping(repetitions: int, seconds: float) -> Comparison:
    """The whole way of an item: its bytes are read, it is filtered and mapped, and written again."""
    lines = msgspec.json.Encoder().encode_lines(items())
    batch = Batch(0, 0, lines, BATCH)
    shaper = Shaper((Transform(where=Expression(WHERE), fields=_fields()),), {})
    decode, encode = msgspec.json.Decoder().decode_lines, msgspec.json.Encoder().encode_lines
    made = encode([mapped(one) for one in items() if wanted(one)])

    def plainly_made() -> bytes:
        return encode([mapped(one) for one in decode(lines) if wanted(one)])

    return await _compared(
        "An item is read, filtered, mapped and written",
        {"where, fields": Timed(lambda: shaper.shape(batch).batch.lines, BATCH, made.__eq__)},
        {"a Python function": Timed(plainly_made, BATCH, made.__eq__)},
        repetitions,
        seconds,
    )


def _fields() -> dict[str, Expression]:
    return {name: Expression(source) for name, source in FIELDS.items()}


def _decoding(batch: Sequence[dict[str, Any]]) -> Callable[[], Any]:
    lines = [msgspec.json.encode(one) for one in batch]
    return lambda: [msgspec.json.decode(line) for line in lines]


RUN = Run(
    source="apify",
    id="RuNiDOfSeventeen0",
    status="SUCCEEDED",
    terminal=True,
    life="1",
    finished=1.0,
    account="",
    actor_id="aCtOrIdOfSeventee",
    actor="acme/shop-700",
    origin="SCHEDULER",
)
ROUTE = """\
  - name: r{0}
    when: {{actor: acme/shop-{0}, status: SUCCEEDED, not: {{origin: [TEST]}}}}
    to: [{{sink: out}}]
"""
HEAD = "version: 1\nsources: {apify: {token: t0ken-of-mine}}\nsinks: {out: {type: stdout}}\nroutes:\n"


async def compare_matching(repetitions: int, seconds: float, routes: int = 1000) -> Comparison:
    table = loaded(HEAD + "".join(map(ROUTE.format, range(routes))))
    scope = {"run": {}, "actor": {"name": RUN.actor}}

    def one_wanted(found: Any) -> bool:
        return [route.name for route in found] == ["r700"]

    return await _compared(
        f"A run and {routes:,} routes",
        {"matching": Timed(lambda: [route for route, _ in matching(table.routes, RUN, scope)], 1, one_wanted)},
        {"a Python loop": Timed(partial(plainly, rules(routes)), 1, lambda found: found == ["r700"])},
        repetitions,
        seconds,
    )


def rules(routes: int) -> list[dict[str, str]]:
    return [{"name": f"r{number}", "actor": f"acme/shop-{number}", "status": "SUCCEEDED"} for number in range(routes)]


def plainly(wanted_: Sequence[Mapping[str, str]]) -> list[str]:
    """The same routes as somebody writes them down in Python."""
    return [
        rule["name"]
        for rule in wanted_
        if fnmatchcase(RUN.actor, rule["actor"]) and RUN.status == rule["status"] and RUN.origin != "TEST"
    ]


BLOCK = """\
  - name: r{0}
    when:
      actor: ["acme/shop-{0}", apify/e-commerce-scraping-tool]
      status: [SUCCEEDED, TIMED-OUT]
      not: {{origin: [DEVELOPMENT, TEST]}}
    read:
      where: item.price and item.currency in ['EUR', 'USD']
      fields:
        url: item.url
        title: item.title | trim
        price: item.price | number
        seller: item.seller.name
    to:
      - {{sink: disk, name: good, when: {{status: SUCCEEDED}}, path: "good/{0}/{{{{ run.id }}}}.jsonl"}}
      - {{sink: disk, name: partial, when: {{status: TIMED-OUT}}, path: "partial/{0}/{{{{ run.id }}}}.jsonl"}}
"""
FULL = "version: 1\nsources: {apify: {token: t0ken-of-mine}}\nsinks: {disk: {type: file, base: results/}}\nroutes:\n"


async def compare_check(repetitions: int, seconds: float, lines: int = 2000) -> Comparison:
    routes = range(lines // len(BLOCK.splitlines()) + 1)
    text = FULL + "".join(map(BLOCK.format, routes))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runrelay.yaml"
        path.write_text(text)
        return await _compared(
            f"A file of {len(text.splitlines()):,} lines",
            {"load": Timed(lambda: load(path, {}), 1, lambda table: len(table.routes) == len(routes))},
            {"YAML alone": Timed(lambda: read(path), 1, lambda _: True)},
            repetitions,
            seconds,
        )


def loaded(text: str) -> RouteTable:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runrelay.yaml"
        path.write_text(text)
        return load(path, {})


async def _compared(
    title: str, ours: dict[str, Timed], peers: dict[str, Timed], repetitions: int, seconds: float
) -> Comparison:
    contenders: dict[str, Callable[[], Awaitable[Sample]]] = {
        name: partial(timed.sample, seconds) for name, timed in {**ours, **peers}.items()
    }
    return Comparison(title, QUANTITIES, tuple(peers), await in_turns(contenders, repetitions))


BENCHES = {
    "filter": compare_filter,
    "fields": compare_fields,
    "shaping": compare_shaping,
    "matching": compare_matching,
    "check": compare_check,
}


def main() -> int:
    from benchmarks.__main__ import table

    wanted_ = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    wanted_.add_argument("bench", nargs="?", choices=[*BENCHES, "all"], default="all")
    wanted_.add_argument("--repetitions", type=int, default=5, metavar="N")
    wanted_.add_argument("--quick", action="store_true", help="shows that it works")
    asked = wanted_.parse_args()
    for name in BENCHES if asked.bench == "all" else [asked.bench]:
        compared = asyncio.run(BENCHES[name](asked.repetitions, 0.02 if asked.quick else 0.3))
        Console().print(table(compared))
    return 0


if __name__ == "__main__":
    sys.exit(main())
