"""`runrelay demo --sinks`: more sinks, each on its real server, and looked at by its own client."""

import sys
from importlib.util import find_spec as really_found
from pathlib import Path

import pytest

from config import plugins
from config.routes import load
from console.demo import guests
from console.demo.folder import demo_folder
from console.demo.guests import GUESTS, chosen, compared, written_into
from console.demo.looking import Found
from console.failures import CommandFailed
from tests.console.command import Ended, left_of, ran, room_of

#: What the routes file takes from the environment, besides what servers say.
TOLD = {
    "APIFY_TOKEN": "x" * 20,
    "HOOK_SECRET": "x" * 20,
    "FAR_SIDE_URL": "http://127.0.0.1:9/",
    "FAR_SIDE_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
}
SERVED = {
    "DEMO_POSTGRES_URL": "postgresql://demo@127.0.0.1:9/demo",
    "DEMO_S3_ENDPOINT": "http://127.0.0.1:9",
    "DEMO_S3_KEY": "key",
    "DEMO_S3_SECRET": "secret",
    "DEMO_REDIS_URL": "unix:///nowhere.sock",
    "DEMO_NATS_URL": "nats://127.0.0.1:9",
    "DEMO_KAFKA_SERVERS": "127.0.0.1:9",
}


class TestChosen:
    def test_names_may_have_spaces_between_them(self) -> None:
        assert list(chosen("sqlite, csv ,")) == ["sqlite", "csv"]

    def test_one_that_nobody_knows_is_named_with_all_there_are(self) -> None:
        with pytest.raises(CommandFailed) as failed:
            chosen("sqlite,oracle")
        assert failed.value.kind == "sink_unknown"
        assert failed.value.message == f"the demo has no sink oracle: it has {', '.join(GUESTS)}"

    @pytest.mark.parametrize(
        ("name", "module", "line"),
        [
            (
                "postgres",
                "asyncpg",
                "`postgres` needs the package `asyncpg`, which is not installed: pip install 'runrelay[postgres]'",
            ),
            (
                "parquet",
                "pyarrow",
                "`parquet` needs the package `pyarrow`, which is not installed: pip install 'runrelay[parquet]'",
            ),
            ("xlsx", "openpyxl", "`xlsx` needs the package `openpyxl`, which is not installed: pip install openpyxl"),
        ],
    )
    def test_a_missing_package_is_one_line_with_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, name: str, module: str, line: str
    ) -> None:
        missing(monkeypatch, module)
        with pytest.raises(CommandFailed) as failed:
            chosen(name)
        assert (failed.value.kind, failed.value.message) == ("plugin_missing", line)


def missing(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if nobody had installed it, for imports that are yet to come."""
    for name in [
        each for each in sys.modules if each.startswith(("workers.sinks.postgres", "workers.sinks._postgres"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(guests, "find_spec", lambda name: None if name == module else really_found(name))


class TestRoutesFile:
    def test_all_of_them_fit_into_one_file(self, tmp_path: Path) -> None:
        with demo_folder(tmp_path / "out", GUESTS) as folder:
            found = load(folder.routes, {**TOLD, **SERVED})
        assert set(found.sinks) == {"disk", "far_side", *GUESTS}
        assert [target.name for target in found.routes[0].to][4:] == list(GUESTS)

    def test_without_guests_it_stays_as_it_is(self) -> None:
        assert written_into("sinks:\n\nroutes:\n", {}) == "sinks:\n\nroutes:\n"

    def test_every_sink_that_comes_with_a_server_as_a_wheel_is_a_guest(self) -> None:
        types = {guest.sink.partition("type: ")[2].partition(",")[0] for guest in GUESTS.values()}
        elsewhere = {"actor", "http", "stdout", "notify"}  # a platform, web services, a terminal, people
        no_wheel = {"mysql", "rabbitmq", "mqtt"}
        assert types == set(plugins.known("workers.sinks", plugins.SINKS)) - elsewhere - no_wheel


def test_a_far_side_that_holds_something_else_than_the_receipt_says_is_a_complaint() -> None:
    found = {"csv": Found(2, [], "modules.csv"), "nats": Found(3, [], "the stream")}
    assert compared(found, {"csv": 3, "nats": 3}) == ["modules/csv: the receipt says 3, but 2 items are in modules.csv"]


WANTED = ("sqlite", "duckdb", "parquet", "postgres", "nats", "kafka", "redis_stream", "csv", "xlsx")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A small demo with sinks of every kind: its folder, and how it ended."""
    folder = tmp_path_factory.mktemp("guests")
    words = ["demo", "--json", "--out", "out", "--max-modules", "40", "--deadline", "60", "--sinks", ",".join(WANTED)]
    return folder, ran(words, folder)


@pytest.mark.slow
class TestForReal:
    def test_what_lies_there_is_what_the_receipts_say(self, demo: tuple[Path, Ended]) -> None:
        _, ended = demo
        assert ended.code == 0, ended.err
        last = ended.objects[-1]
        delivered = {row["target"]: row["delivered"] for row in last["receipts"]}
        assert {name: one["count"] for name, one in last["found"].items()} == dict.fromkeys(WANTED, 40)
        assert {name: delivered[name] for name in WANTED} == dict.fromkeys(WANTED, 40)

    def test_no_server_is_left_and_nothing_temporary(self, demo: tuple[Path, Ended]) -> None:
        folder, _ = demo
        assert (left_of(folder), list(room_of(folder).iterdir())) == (set(), [])
