"""The Dockerfile, the build script and the health probe of the image."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.ships.repository import ROOT, tool

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction, continuation lines joined, comments dropped."""
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    joined = lines.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined) if word]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1].strip()


def version() -> str:
    project: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["version"]


def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run([tool("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    # A number, because Kubernetes cannot see that a name is not root.
    assert last("USER") == "10001:10001"
    assert instructions().index(("USER", "10001:10001")) > max(
        index for index, (word, _) in enumerate(instructions()) if word in {"FROM", "RUN", "COPY"}
    )


def test_commands_are_arguments() -> None:
    assert (last("ENTRYPOINT"), last("CMD")) == ('["runrelay"]', '["receiver", "--host", "0.0.0.0"]')


def test_the_base_can_be_chosen_and_every_stage_stands_on_it() -> None:
    words = instructions()
    assert words[:2] == [("ARG", "BASE=python:3.11-slim"), ("ARG", f"VERSION={version()}")]
    assert [rest.split()[0] for word, rest in words if word == "FROM"] == ["${BASE}"] * 2


def test_packages_are_installed_by_hash_alone() -> None:
    (install,) = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert "--require-hashes" in install
    assert "--requirement /tmp/packages.txt" in install


def test_every_room_of_the_house_is_in_the_image() -> None:
    copied = {rest for word, rest in instructions() if word == "COPY"}
    assert {f"{room} /app/{room}" for room in ("config", "receiver", "workers", "emulator", "console")} <= copied


def test_all_that_the_dockerfile_copies_passes_the_ignore_file() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = {rest.split()[0] for word, rest in instructions() if word == "COPY" and "--from" not in rest}
    assert kept == {each.replace("${PACKAGES}", which) for each in copied for which in ("sinks", "runtime")}
    assert ("ARG", "PACKAGES=sinks") in instructions()


def test_the_build_script_parses() -> None:
    subprocess.run(["bash", "-n", ROOT / "scripts/image.sh"], check=True)


@contextmanager
def answering(status: HTTPStatus) -> Iterator[int]:
    """A server whose /healthz answers so, anything else 500; gives its port."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else HTTPStatus.INTERNAL_SERVER_ERROR)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def closed_port() -> int:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def probe(*ports: int) -> int:
    return subprocess.run([sys.executable, "-I", ROOT / "scripts/healthy.py", *map(str, ports)], check=False).returncode


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.NOT_FOUND])
def test_a_process_that_answers_is_healthy_on_whichever_port_it_has(closed_port: int, status: HTTPStatus) -> None:
    with answering(status) as port:
        assert (probe(closed_port, port), probe(port, closed_port)) == (0, 0)


def test_a_process_that_is_stuck_or_absent_is_not_healthy(closed_port: int) -> None:
    with answering(HTTPStatus.SERVICE_UNAVAILABLE) as port:
        assert (probe(closed_port, port), probe(closed_port)) == (1, 1)
