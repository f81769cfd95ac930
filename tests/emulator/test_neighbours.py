"""Without a token of its own the emulator is for programs of this machine, not for pages that a browser shows."""

import pytest

from emulator.neighbours import is_loopback
from tests.emulator.conftest import Emulator, StartEmulator


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8090"},
        {"Host": "[::1]:8090"},
        {"Host": "127.0.0.2"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
    ],
)
async def test_programs_of_this_machine_are_let_in(emulator: Emulator, headers: dict[str, str]) -> None:
    assert (await emulator.get("/v2/users/me", **headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com:8090"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "[x"},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Origin": "http://[x"},
    ],
)
async def test_web_pages_are_turned_away_whatever_token_they_make_up(
    emulator: Emulator, headers: dict[str, str]
) -> None:
    answer = await emulator.post("/v2/acts/local~quick/runs?token=any", {}, **headers)

    assert answer.error == (403, "permission-denied")
    assert (await emulator.get("/v2/actor-runs")).data["total"] == 0


async def test_a_token_of_its_own_is_enough(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(token="t")

    assert (await emulator.get("/v2/users/me", Host="emulator:8090", Origin="https://example.com")).status == 200


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("example", False)],
)
def test_only_loopback_is_this_machine(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here
