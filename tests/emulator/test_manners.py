"""What all endpoints have in common: tokens, errors, odd spellings, faults."""

import shutil
from pathlib import Path

import aiohttp
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message

from emulator.scenarios import Answer, Duplicate, Fault, Slow, Truncate
from tests.emulator.conftest import Answer as Got
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor


async def test_a_token_comes_in_the_header_or_in_the_query(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(token="s3cret")

    assert (await emulator.get("/v2/users/me", token="s3cret")).status == 200
    assert (await emulator.get("/v2/users/me?token=s3cret", token=None)).status == 200
    assert (await emulator.get("/v2/users/me", token="wrong")).error == (401, "token-not-valid")
    assert (await emulator.get("/v2/users/me?token=wröng", token=None)).error == (401, "token-not-valid")
    assert (await emulator.get("/v2/users/me", token=None)).error == (401, "token-not-provided")


async def test_any_token_will_do_when_none_is_set_but_no_made_up_run_token(emulator: Emulator) -> None:
    assert (await emulator.get("/v2/users/me", token="whatever")).status == 200
    assert (await emulator.get("/v2/users/me", token="apify_run_made_up")).error == (401, "token-not-valid")


async def test_reads_by_id_need_no_token_and_hide_the_costs(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    path = f"/v2/actor-runs/{run['id']}"

    shown = (await emulator.get(path, token=None)).data

    assert run.keys() - shown.keys() == {"usageUsd", "usageTotalUsd"}
    for readable in (
        "/log",
        "/dataset",
        "/dataset/items",
        "/key-value-store",
        "/key-value-store/keys",
        "/request-queue",
    ):
        assert (await emulator.get(path + readable, token=None)).status == 200
    assert (await emulator.get(path, token="apify_run_old")).error == (401, "token-not-valid")


async def test_writes_lists_and_names_need_a_token(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    await emulator.post("/v2/datasets?name=named")
    path = f"/v2/actor-runs/{run['id']}"

    for method, needy in [
        ("GET", "/v2/actor-runs"),
        ("GET", "/v2/acts/local~quick"),
        ("GET", "/v2/datasets/local~named"),
        ("GET", "/v2/webhooks"),
        ("POST", "/v2/acts/local~quick/runs"),
        ("POST", f"{path}/dataset/items"),
        ("PUT", path),
        ("DELETE", path),
        ("POST", f"{path}/abort"),
    ]:
        assert (await emulator.ask(method, needy, token=None)).error == (401, "token-not-provided")


async def test_a_restricted_account_lets_nobody_read_without_a_token(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("quick")
    emulator = await start_emulator(restricted=True)
    run = await emulator.start("quick")

    assert run["generalAccess"] == "RESTRICTED"
    assert (await emulator.get(f"/v2/actor-runs/{run['id']}", token=None)).error == (401, "token-not-provided")


async def test_unknown_pages_and_methods_answer_with_the_envelope(emulator: Emulator) -> None:
    assert (await emulator.get("/v2/nothing")).error == (404, "page-not-found")
    assert (await emulator.get("/")).error == (404, "page-not-found")
    refused = await emulator.ask("PATCH", "/v2/acts/local~quick/runs")
    assert refused.error == (405, "method-not-allowed")
    assert refused.headers["Allow"] == "OPTIONS,GET,POST"
    assert refused.json["error"]["message"].endswith("HTTP methods: OPTIONS,GET,POST")


async def test_a_bug_answers_with_the_envelope_too(start_emulator: StartEmulator, tmp_path: Path) -> None:
    emulator = await start_emulator()
    made = (await emulator.post("/v2/datasets")).data["id"]
    shutil.rmtree(tmp_path / "data" / "datasets" / made)  # by hand, behind its back

    assert (await emulator.get(f"/v2/datasets/{made}")).error == (500, "internal-server-error")


async def test_the_method_can_be_overridden(emulator: Emulator) -> None:
    answer = await emulator.get("/v2/acts/local~quick/runs?method=POST&token=t")

    assert (answer.status, answer.data["actId"]) == (201, (await emulator.get("/v2/acts/local~quick")).data["id"])
    assert (await emulator.get("/v2/acts/local~quick/runs?method=BREW")).status == 200


async def test_an_actor_is_found_by_id_and_by_name_in_both_families(emulator: Emulator) -> None:
    actor = (await emulator.get("/v2/actors/local~quick")).data

    assert (actor["name"], actor["username"], actor["stats"]["totalRuns"]) == ("quick", "local", 0)
    for spelling in (actor["id"], "local%2Fquick", "local%2fquick", "local~quick"):
        for family in ("acts", "actors"):
            assert (await emulator.get(f"/v2/{family}/{spelling}")).data["id"] == actor["id"]
    run = (await emulator.post("/v2/actors/local%2Fquick/runs")).data
    found = await emulator.get(f"/v2/actors/{actor['id']}/runs/{run['id']}")
    assert found.data["id"] == run["id"]


async def test_actors_are_listed_by_name(emulator: Emulator) -> None:
    def names(answer: Got) -> list[str]:
        return [f"{item['username']}~{item['name']}" for item in answer.data["items"]]

    everything = await emulator.get("/v2/acts")

    assert names(everything) == ["local~quick", "local~sleepy", "runrelay~pydoc-crawler"]
    assert names(await emulator.get("/v2/acts?desc=1&limit=1&offset=1")) == ["local~sleepy"]


async def test_the_user_is_the_owner_of_the_runs(emulator: Emulator) -> None:
    me = (await emulator.get("/v2/users/me")).data

    assert me["username"] == "local"
    assert (await emulator.start("quick"))["userId"] == me["id"]


async def test_an_answer_can_be_replaced_a_number_of_times(emulator: Emulator) -> None:
    emulator.scenario.add(
        Fault("GET /v2/users/*", Answer(503, b"<html>", {"Retry-After": "1"}), times=2),
        Fault("GET *", Duplicate()),
    )

    answers = [await emulator.get("/v2/users/me") for _ in range(4)]

    assert [answer.status for answer in answers] == [503, 503, 200, 200]
    assert (answers[0].body, answers[0].headers["Retry-After"]) == (b"<html>", "1")


async def read_into(got: bytearray, response: aiohttp.ClientResponse) -> None:
    while True:
        got += await response.content.readany()


@pytest.mark.parametrize("keep", [0, 5, 1000])
async def test_a_body_can_be_cut_off(emulator: Emulator, keep: int) -> None:
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    await emulator.post(f"/v2/datasets/{id_}/items", [{"n": n} for n in range(100)])
    emulator.scenario.add(Fault("GET */items", Truncate(keep)))
    got = bytearray()

    async with emulator.session.get(f"{emulator.url}/v2/datasets/{id_}/items") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_into(got, response)

    assert got == (await emulator.get(f"/v2/datasets/{id_}/items")).body[:keep]


async def test_a_body_can_be_slow_and_is_whole() -> None:
    sent: list[tuple[bytes, bool]] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append((message["body"], message["more_body"]))

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    answer = StreamingResponse(iter([b"abcdefgh", b"ij"]))
    await Slow(pause=0.0, piece=3)(answer, {"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)

    assert sent == [(b"abc", True), (b"def", True), (b"gh", True), (b"ij", True), (b"", False)]
