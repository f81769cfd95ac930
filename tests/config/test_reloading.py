"""Files that change under a running process."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from config import logs, reloading
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.reloading import Watch, hearing_hangups, watching
from config.routes import RouteTable, load
from tests.config.loading import SINKS

FILE = 'version: 1\nsources: {main: {type: tests.config.plugins.platform, token: "${TOKEN}"}}\n' + SINKS
ROUTE = "routes: [{name: one, to: [{sink: out}]}]\n"


@dataclass
class Followed:
    """A file somebody watches, and the tables that came of it."""

    file: Path
    watch: Watch
    lines: list[EventDict]
    tables: list[RouteTable] = field(default_factory=list)

    async def table(self, count: int) -> RouteTable:
        await until(lambda: len(self.tables) >= count)
        assert len(self.tables) == count
        return self.tables[-1]

    async def problems(self, count: int = 1) -> list[str]:
        def told() -> list[str]:
            return [line["problem"] for line in self.lines if line["event"] == "config.reload_failed"]

        await until(lambda: len(told()) >= count)
        return [problem.replace(f"{self.file.parent}/", "") for problem in told()]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def succeeded() -> float | None:
    return REGISTRY.get_sample_value("runrelay_config_reload_success")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "PAUSE", 0.02)
    for name in ("TOKEN", "PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def followed(
    folder: Path, text: str = FILE + ROUTE, prove: Callable[[RouteTable], None] = lambda _: None
) -> AsyncIterator[Followed]:
    file = folder / "runrelay.yaml"
    file.write_text(text)
    if not (folder / ".env").exists():
        (folder / ".env").write_text("TOKEN=first-token\nPASSWORD=first-password\n")
    watch = Watch(load(file), prove)
    with capture_logs() as lines:
        place = Followed(file, watch, lines)
        async with watching(watch, place.tables.append):
            yield place


async def test_a_new_route_is_taken_over(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        place.file.write_text(FILE + ROUTE.replace("one", "another"))
        table = await place.table(1)
        assert [route.name for route in table.routes] == ["another"]
        assert [line["event"] for line in place.lines if line["log_level"] == "info"] == ["config.reloaded"]
        assert succeeded() == 1


async def test_a_file_with_mistakes_changes_nothing_and_says_where_they_are(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        place.file.write_text(FILE + "routes: [{name: one, raed: {}, to: [{sink: nowhere}]}]\n")
        problems = await place.problems(2)
        assert [problem.partition(": ")[0] for problem in problems] == ["runrelay.yaml:7:22", "runrelay.yaml:7:44"]
        assert (place.tables, succeeded()) == ([], 0)
        place.file.write_text(FILE + ROUTE)
        await place.table(1)
        assert succeeded() == 1


async def test_of_very_many_mistakes_some_are_told(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        place.file.write_text(FILE + "routes:\n" + "  - {nothing: 1}\n" * 40)
        await until(lambda: any("more" in line for line in place.lines))
    failed = [line for line in place.lines if line["event"] == "config.reload_failed"]
    assert (len(failed), failed[-1]["more"]) == (21, 100)


async def test_a_file_that_is_gone_is_a_mistake_too(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        place.file.rename(tmp_path / "elsewhere")
        (problem,) = await place.problems()
        assert problem.startswith("runrelay.yaml: ")
        (tmp_path / "elsewhere").rename(place.file)
        await place.table(1)


async def test_a_dotenv_is_looked_at(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        (tmp_path / ".env").write_text("TOKEN=second-token\nPASSWORD=p\n")
        assert (await place.table(1)).environment.variables["TOKEN"] == "second-token"
        (tmp_path / ".env").write_bytes(b"TOKEN=\xe9\n")
        assert await place.problems() == [".env: the file cannot be read: it is not UTF-8"]
        (tmp_path / ".env").write_text("TOKEN=third-token\nPASSWORD=p\n")
        assert (await place.table(2)).environment.variables["TOKEN"] == "third-token"


async def test_a_file_behind_a_reference_is_looked_at_and_its_secret_masked_at_once(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first-of-the-file")
    async with followed(tmp_path, (FILE + ROUTE).replace("${TOKEN}", "${file:token}")) as place:
        secret.write_text("second-of-the-file\n")
        table = await place.table(1)
        assert table.environment.value("file:token") == "second-of-the-file"
        assert logs.masked("second-of-the-file") == logs.MASK
        secret.unlink()
        problems = await place.problems()
        assert problems[0].endswith("the file token cannot be read: No such file or directory")
        secret.write_text("third-of-the-file")
        assert (await place.table(2)).environment.value("file:token") == "third-of-the-file"


async def test_a_file_is_waited_for_that_is_named_before_it_is_there(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        place.file.write_text((FILE + ROUTE).replace("${TOKEN}", "${file:late}"))
        await place.problems()
        (tmp_path / "late").write_text("it came")
        assert (await place.table(1)).environment.value("file:late") == "it came"


async def test_a_folder_that_is_swapped_behind_a_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes does it: the file's own link stays, the one of the folder is replaced."""
    text = FILE + ROUTE
    for name, route in (("..1", "one"), ("..2", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runrelay.yaml").write_text(text.replace("name: one", f"name: {route}"))
        os.utime(tmp_path / name / "runrelay.yaml", (0, 0))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "runrelay.yaml").symlink_to("..data/runrelay.yaml")
    (tmp_path / ".env").write_text("TOKEN=t\nPASSWORD=p\n")
    place = Followed(tmp_path / "runrelay.yaml", Watch(load(tmp_path / "runrelay.yaml")), [])
    async with watching(place.watch, place.tables.append):
        (tmp_path / "..next").symlink_to("..2")
        (tmp_path / "..next").rename(tmp_path / "..data")
        assert [route.name for route in (await place.table(1)).routes] == ["two"]


async def test_what_is_included_is_looked_at_and_so_are_new_files_that_fit(tmp_path: Path) -> None:
    parts = tmp_path / "routes"
    parts.mkdir()
    (parts / "a.yaml").write_text("routes: [{name: ay, to: [{sink: out}]}]\n")
    async with followed(tmp_path, FILE + "include: routes/*.yaml\n") as place:
        (parts / "a.yaml").write_text("routes: [{name: changed, to: [{sink: out}]}]\n")
        table = await place.table(1)
        assert [route.name for route in table.routes] == ["changed"]
        (parts / "b.yaml").write_text("routes: [{name: bee, to: [{sink: out}]}]\n")
        table = await place.table(2)
        assert [route.name for route in table.routes] == ["changed", "bee"]
        (parts / "a.yaml").unlink()
        table = await place.table(3)
        assert [route.name for route in table.routes] == ["bee"]


async def test_of_an_included_file_with_mistakes_the_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("routes: [{name: ay, to: [{sink: out}]}]\n")
    async with followed(tmp_path, FILE + "include: a.yaml\n") as place:
        (tmp_path / "a.yaml").write_text("routes: [{name: ay, to: [{sink: nowhere}]}]\n")
        assert await place.problems() == [
            "a.yaml:1:33: routes[0].to[0].sink: no sink `nowhere` is defined: defined are out, rows, notes"
        ]
    assert place.tables == []


async def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        with place.file.open("a") as file:
            for _ in range(20):
                file.write("# more\n")
                file.flush()
                await asyncio.sleep(0.01)
            assert place.tables == []
        await place.table(1)


async def test_what_changed_before_the_first_look_is_seen(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=t\nPASSWORD=p\n")
    file = tmp_path / "runrelay.yaml"
    file.write_text(FILE + ROUTE)
    table = load(file)
    file.write_text(FILE + ROUTE.replace("one", "other"))
    place = Followed(file, Watch(table), [])
    async with watching(place.watch, place.tables.append):
        assert [route.name for route in (await place.table(1)).routes] == ["other"]


async def test_nothing_is_read_while_nothing_changes(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        await asyncio.sleep(0.2)
        assert (place.tables, place.lines) == ([], [])


async def test_who_asks_gets_it_read_though_nothing_changed(tmp_path: Path) -> None:
    async with followed(tmp_path) as place:
        with hearing_hangups(place.watch.ask):
            os.kill(os.getpid(), signal.SIGHUP)
            await place.table(1)


async def test_a_swap_that_breaks_is_told_without_its_words(tmp_path: Path) -> None:
    def swap(_: RouteTable) -> None:
        raise RuntimeError("first-password")

    async with followed(tmp_path) as place:
        watch = Watch(load(place.file))
        async with watching(watch, swap):
            watch.ask()
            await until(lambda: succeeded() == 0)
    assert [{"file": str(place.file), "error": "RuntimeError"}] == [
        {name: line[name] for name in ("file", "error")} for line in place.lines if line["log_level"] == "error"
    ]


async def test_a_file_whose_tests_fail_changes_nothing_and_the_secrets_in_it_are_masked_before_they_are_told(
    tmp_path: Path,
) -> None:
    def prove(table: RouteTable) -> None:
        assert threading.current_thread() is not threading.main_thread()
        if table.routes[0].name == "bad":
            raise ConfigInvalid(
                [Problem(f"test 'one': it says {logs.masked('token-of-a-bad-file')}", str(table.file), 9, 3)]
            )

    async with followed(tmp_path, prove=prove) as place:
        (tmp_path / ".env").write_text("TOKEN=token-of-a-bad-file\nPASSWORD=p\n")
        place.file.write_text(FILE + ROUTE.replace("one", "bad"))
        assert await place.problems() == ["runrelay.yaml:9:3: test 'one': it says ***"]
        assert (place.tables, succeeded()) == ([], 0)
        assert place.watch.problem.endswith("runrelay.yaml:9:3: test 'one': it says ***")
        place.file.write_text(FILE + ROUTE.replace("one", "good"))
        assert [route.name for route in (await place.table(1)).routes] == ["good"]
        assert (place.watch.problem, succeeded()) == ("", 1)


async def test_tests_that_do_not_end_count_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "PATIENCE", 0.05)
    done = threading.Event()

    def prove(_: RouteTable) -> None:
        done.wait(20)

    async with followed(tmp_path, prove=prove) as place:
        place.watch.ask()
        assert await place.problems() == ["runrelay.yaml: the tests take longer than 0.05 s"]
        assert (place.tables, succeeded()) == ([], 0)
        done.set()


async def test_a_mended_file_comes_through_while_the_tests_of_earlier_ones_hang_unless_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PATIENCE", 0.2)
    done = threading.Event()

    def prove(table: RouteTable) -> None:
        if table.routes[0].name == "hangs":
            done.wait(60)

    async with followed(tmp_path, prove=prove) as place:
        for already in range(reloading.MOST_HANGING):
            place.file.write_text(FILE + ROUTE.replace("one", f"good{already}"))
            assert (await place.table(already + 1)).routes[0].name == f"good{already}"
            place.file.write_text(FILE + ROUTE.replace("one", "hangs"))
            assert (await place.problems(already + 1))[-1] == "runrelay.yaml: the tests take longer than 0.2 s"
        place.watch.ask()
        assert (await place.problems(reloading.MOST_HANGING + 1))[-1] == (
            "runrelay.yaml: 3 earlier changes never ended, each holds a thread: mend the file, then restart"
        )
        done.set()
