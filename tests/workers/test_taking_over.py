"""What a worker keeps when its routes file is another, and what it forgets."""

from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from config.contracts.api import Api, Manners
from config.keys import Keys
from config.routes import RouteTable, load
from config.settings import Settings
from workers.ledger.ledger import Ledger
from workers.runtime import Runtime
from workers.worker import take_over

FILE = """\
version: 1
sources: {one: {type: apify, token: first-token}, two: {type: apify, token: second-token}}
sinks: {out: {type: stdout}}
routes: [{name: all, to: [{sink: out}]}]
"""


def table(folder: Path, text: str = FILE) -> RouteTable:
    (folder / "runrelay.yaml").write_text(text)
    return load(folder / "runrelay.yaml", {})


def ask(manners: Manners) -> Api:
    """An Api that can only be told from others."""
    return cast(Api, {"token": manners.token})


def worker(settings: Settings, redis: Redis, table: RouteTable) -> Runtime:
    apis = {name: ask(source.manners) for name, source in table.sources.items()}
    return Runtime(settings=settings, table=table, ledger=Ledger(redis, Keys("rr")), apis=apis)


def test_a_source_that_is_asked_as_before_keeps_its_api(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    runtime = worker(settings, redis, table(tmp_path))
    before, names = runtime.apis, runtime.names
    newer = table(tmp_path, FILE.replace("second-token", "third-token"))
    take_over(runtime, newer, ask)
    assert runtime.table is newer
    assert [cast(Any, api) for api in runtime.apis.values()] == [{"token": "first-token"}, {"token": "third-token"}]
    assert runtime.apis["one"] is before["one"]
    assert runtime.names is not names, "the new token may be another account's"


def test_other_routes_are_no_reason_to_forget_names(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    runtime = worker(settings, redis, table(tmp_path))
    names = runtime.names
    take_over(runtime, table(tmp_path, FILE.replace("all", "every")), ask)
    assert runtime.names is names


def test_sources_come_and_go(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    runtime = worker(settings, redis, table(tmp_path))
    take_over(runtime, table(tmp_path, FILE.replace("two:", "three:")), ask)
    assert list(runtime.apis) == list(runtime.table.sources) == ["one", "three"]
