"""Faults written down: what each does to an answer or a webhook, and how mistakes in the script are shown."""

import asyncio
import math
from pathlib import Path

import aiohttp
import pytest
from apify_client import ApifyClientAsync
from multidict import CIMultiDict

from emulator.faultfile import FaultMistake, parse_faults, read_faults
from emulator.limits import Pace, limit_of
from tests.emulator.conftest import Answer, Emulator, Listener, StartEmulator
from tests.emulator.test_dispatches import settled, webhooks


async def plan(emulator: Emulator, *entries: str) -> None:
    """Plan faults as a person would, in YAML at the admin endpoint."""
    lines = ["faults:", *(f"  - {{{entry}}}" for entry in entries)]
    answer = await emulator.ask("POST", "/emulator/faults", "\n".join(lines).encode())
    assert answer.status == 201, answer.body


def header(answer: Answer, name: str) -> str:
    """One of the pagination headers."""
    return CIMultiDict(answer.headers)[f"X-Apify-Pagination-{name}"]


@pytest.fixture
async def dataset(emulator: Emulator) -> str:
    """The path of a dataset with ten items."""
    path = f"/v2/datasets/{(await emulator.post('/v2/datasets')).data['id']}"
    await emulator.post(f"{path}/items", [{"n": n} for n in range(10)])
    return path


async def test_an_answer_can_be_any_status_with_any_body(emulator: Emulator) -> None:
    await plan(emulator, "match: GET /v2/users/*, answer: {status: 502, body: <html>bad gateway</html>}, times: 2")

    answers = [await emulator.get("/v2/users/me") for _ in range(3)]

    assert [answer.status for answer in answers] == [502, 502, 200]
    assert (answers[0].headers["Content-Type"], answers[0].body) == ("text/html", b"<html>bad gateway</html>")


async def test_an_error_has_the_envelope_of_the_api(emulator: Emulator, dataset: str) -> None:
    await plan(emulator, "match: GET /v2/datasets/*, error: {status: 404, type: record-not-found}, times: always")

    for _ in range(3):
        assert (await emulator.get(dataset)).error == (404, "record-not-found")


@pytest.mark.parametrize("fault", ["empty_page: true", "counts_behind: 5"])
async def test_what_spoils_a_page_leaves_an_error_as_it_is(emulator: Emulator, fault: str) -> None:
    await plan(emulator, f'match: "GET */items", {fault}')

    assert (await emulator.get("/v2/datasets/nobody/items")).error == (404, "record-not-found")


async def test_faults_wait_for_their_turn(emulator: Emulator, dataset: str) -> None:
    await plan(
        emulator,
        "match: GET */items, error: {status: 500, type: internal-server-error}, after: 1",
        "match: GET */items, error: {status: 403, type: insufficient-permissions}, after: 2",
    )

    statuses = [(await emulator.get(f"{dataset}/items")).status for _ in range(5)]

    assert statuses == [200, 500, 200, 403, 200]


async def test_a_rate_limit_says_how_much_is_allowed(emulator: Emulator, dataset: str) -> None:
    await plan(emulator, "match: GET */items, rate_limit: 60")

    refused = await emulator.get(f"{dataset}/items")

    assert refused.error == (429, "rate-limit-exceeded")
    assert refused.headers["X-RateLimit-Limit"] == "60"
    assert refused.json["error"]["message"] == "You have exceeded the rate limit of 60 requests per second"
    assert (await emulator.get(f"{dataset}/items")).headers["X-RateLimit-Limit"] == "60"


async def test_a_body_can_be_slow_late_or_cut_off(emulator: Emulator, dataset: str) -> None:
    await plan(
        emulator,
        "match: GET */items, slow: {pause: 0.001, piece: 7}",
        "match: GET */items, delay: 0.001",
        "match: GET */items, truncate: 9",
    )

    whole = [(await emulator.get(f"{dataset}/items")).json for _ in range(2)]

    assert whole == [[{"n": n} for n in range(10)]] * 2
    with pytest.raises(aiohttp.ClientPayloadError):
        await emulator.get(f"{dataset}/items")


async def test_a_page_of_items_can_be_empty_and_then_full(emulator: Emulator, dataset: str) -> None:
    await plan(emulator, "match: GET */items, empty_page: true, times: 2")

    empty = await emulator.get(f"{dataset}/items")
    lines = await emulator.get(f"{dataset}/items?format=jsonl")
    full = await emulator.get(f"{dataset}/items")

    pages = [(header(answer, "Count"), len(answer.body)) for answer in (empty, lines)]
    assert pages == [("0", 2), ("0", 0)]
    assert (header(full, "Count"), len(full.json)) == ("10", 10)


async def test_pages_of_keys_and_requests_can_be_empty_and_go_on(emulator: Emulator) -> None:
    """key_value_store().iterate_keys and request_queue().iterate_requests lose nothing by it."""
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    store = client.key_value_store((await client.key_value_stores().get_or_create()).id)
    queue = client.request_queue((await client.request_queues().get_or_create()).id)
    for name in "abc":
        await store.set_record(name, name)
        await queue.add_request({"uniqueKey": name, "url": "https://example.com"})
    await plan(
        emulator,
        "match: GET */keys, empty_page: true",
        "match: GET */requests, empty_page: true",
        "match: GET */requests, empty_page: true, after: 1",
    )

    empty = (await emulator.get(f"/v2/key-value-stores/{store.resource_id}/keys")).data
    after = empty["nextExclusiveStartKey"]
    keys = (await emulator.get(f"/v2/key-value-stores/{store.resource_id}/keys?exclusiveStartKey={after}")).data
    found, cursor = [], "&cursor="
    while cursor:
        page = (await emulator.get(f"/v2/request-queues/{queue.resource_id}/requests?limit=2{cursor}")).data
        found += [item["uniqueKey"] for item in page["items"]]
        cursor = f"&cursor={page['nextCursor']}" if "nextCursor" in page else ""

    assert (empty["items"], empty["isTruncated"]) == ([], True)
    assert [item["key"] for item in keys["items"]] == ["a", "b", "c"]
    assert sorted(found) == ["a", "b", "c"]


async def test_counts_can_lag_behind_the_rows(emulator: Emulator, dataset: str) -> None:
    await plan(emulator, "match: GET /v2/datasets/*, counts_behind: 4, times: 2")

    items = await emulator.get(f"{dataset}/items?offset=5&limit=4")
    shown = (await emulator.get(dataset)).data

    counts = [header(items, name) for name in ("Total", "Count")]
    assert (counts, len(items.json)) == (["6", "1"], 4)
    assert (shown["itemCount"], (await emulator.get(dataset)).data["itemCount"]) == (6, 10)


async def test_a_reader_of_a_record_can_be_sent_to_a_storage_host(emulator: Emulator) -> None:
    store = f"/v2/key-value-stores/{(await emulator.post('/v2/key-value-stores')).data['id']}"
    await emulator.ask("PUT", f"{store}/records/K", b"value", Content_Type="text/plain")
    await plan(
        emulator, "match: GET */records/*, redirect: {host: localhost}, times: 1", "match: GET *, redirect: true"
    )

    headers = {"Authorization": "Bearer t"}
    async with emulator.session.get(f"{emulator.url}{store}/records/K", headers=headers, allow_redirects=False) as sent:
        place = sent.headers["Location"]
    near = place.replace("localhost", "127.0.0.1")
    async with emulator.session.get(near, headers=headers | {"Host": "localhost:1"}) as refused:
        assert refused.status == 400
    async with emulator.session.get(near, headers={"Host": "localhost:1"}) as got:
        assert await got.read() == b"value"
    followed = await emulator.get(f"{store}/records/K")

    assert (sent.status, place.startswith("http://localhost:")) == (302, True)
    assert followed.body == b"value"
    assert (await emulator.get("/emulator/signed/nope")).error == (404, "record-not-found")


async def test_a_token_can_die_in_use(emulator: Emulator, dataset: str) -> None:
    await plan(emulator, "match: GET */items, revoke_token: true, after: 1")

    assert (await emulator.get(f"{dataset}/items", token="mine")).status == 200
    assert (await emulator.get(f"{dataset}/items", token="mine")).error == (401, "token-not-valid")
    assert (await emulator.get("/v2/users/me", token="mine")).error == (401, "token-not-valid")
    assert (await emulator.get("/v2/users/me", token="another")).status == 200


async def test_a_status_nobody_knows_can_be_reported(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    await plan(emulator, "match: GET /v2/actor-runs/*, replace: {data.status: PAUSED, data.nope.deep: 1, x: 2}")

    strange = (await emulator.get(f"/v2/actor-runs/{run['id']}")).data

    assert strange == run | {"status": "PAUSED"}


async def test_webhooks_can_be_lost_doubled_late_and_of_an_unknown_event(
    emulator: Emulator, listener: Listener
) -> None:
    await plan(
        emulator,
        "event: ACTOR.RUN.*, lose: true",
        "event: ACTOR.RUN.SUCCEEDED, duplicate: 1",
        "event: '*', replace: {eventType: ACTOR.RUN.PAUSED}",
    )

    for _ in range(3):
        await emulator.finish(await emulator.start("quick", webhooks(listener)))
        await settled(emulator)
    got = await listener.wait_for(3)

    assert [body["eventType"] for _, body in got] == ["ACTOR.RUN.SUCCEEDED"] * 2 + ["ACTOR.RUN.PAUSED"]
    assert got[0][0]["X-Apify-Webhook-Dispatch-Id"] == got[1][0]["X-Apify-Webhook-Dispatch-Id"]


async def test_webhooks_can_arrive_in_the_wrong_order(emulator: Emulator, listener: Listener) -> None:
    await plan(emulator, "event: ACTOR.RUN.CREATED, out_of_order: true")

    events = ["ACTOR.RUN.CREATED", "ACTOR.RUN.SUCCEEDED"]
    await emulator.start("quick", webhooks(listener, eventTypes=events))
    got = await listener.wait_for(2)

    assert [body["eventType"] for _, body in got] == events[::-1]


async def test_planned_faults_are_shown_until_they_are_used_or_cleared(emulator: Emulator) -> None:
    await plan(
        emulator,
        "match: GET /v2/users/*, answer: {status: 500}",
        "event: '*', delay: 5, times: always, after: 2",
    )

    first = {"match": "GET /v2/users/*", "does": "answer", "times": 1, "after": 0}
    first["with"] = {"status": 500, "body": "", "headers": {"Content-Type": "text/plain"}}
    second = {"match": "WEBHOOK *", "does": "delay", "times": "always", "after": 2, "with": {"seconds": 5.0}}
    assert (await emulator.get("/emulator/faults")).data == {"faults": [first, second]}
    await emulator.get("/v2/users/me")
    assert (await emulator.get("/emulator/faults")).data == {"faults": [second]}
    assert (await emulator.ask("DELETE", "/emulator/faults")).status == 204
    assert (await emulator.get("/emulator/faults")).data == {"faults": []}
    assert (await emulator.get("/emulator/faults", token=None)).error == (401, "token-not-provided")


async def test_a_bad_script_is_refused_whole_at_the_admin_endpoint(emulator: Emulator) -> None:
    script = b"faults:\n  - match: GET *\n    anser: {status: 500}\n"

    answer = await emulator.ask("POST", "/emulator/faults", script)

    assert answer.error == (400, "invalid-input")
    assert answer.json["error"]["message"] == 'body:3:5: "anser" is not known here; did you mean "answer"?'
    assert (await emulator.get("/emulator/faults")).data == {"faults": []}


@pytest.mark.parametrize(
    ("script", "mistake"),
    [
        ("fautls: []", '1:1: "fautls" is not known here; did you mean "faults"?'),
        ("[]", "1:1: this must be a mapping with faults"),
        ("{}", '1:1: the script needs a list under "faults"'),
        ("faults: 5", '1:9: "faults" must be a list'),
        ("faults: [5]", "1:10: this must be a mapping with match"),
        ("faults: [{match: G, lose: true}]", '1:21: "lose" does not go with "match"'),
        ("faults: [{event: G, answer: {status: 500}}]", '1:21: "answer" does not go with "event"'),
        ("faults: [{delay: 5}]", '1:10: a fault needs either "match" (a request) or "event" (a webhook)'),
        ("faults: [{match: a, event: b, delay: 5}]", '1:10: a fault needs either "match"'),
        ("faults: [{match: G}]", "1:10: a fault needs exactly one of answer, error"),
        ("faults: [{match: G, delay: 1, truncate: 1}]", "1:10: a fault needs exactly one of answer, error"),
        ("faults: [{match: G, delay: soon}]", '1:28: "delay": Expected `float`, got `str`'),
        ("faults: [{match: G, delay: 1, times: 0}]", '1:38: "times": Expected `int` >= 1'),
        ("faults: [{match: G, delay: 1, after: -1}]", '1:38: "after": Expected `int` >= 0'),
        ("faults:\n- match: G\n  answer:\n    stauts: 500", '4:5: "stauts" is not known here; did you mean "status"?'),
        ("faults: [{match: G, answer: {status: 999}}]", '1:29: "answer": Expected `int` <= 599 - at `$.status`'),
        ("faults: [{match: G, empty_page: false}]", '1:33: "empty_page" can only be true; leave it out instead'),
        ("faults: [{match: G, times: 1", "1:29: "),
        ("faults: [\t]\n  x", "1:10: "),
        ("a: \x00", "1:1: this is not YAML"),
    ],
)
def test_mistakes_are_shown_by_line_and_column(script: str, mistake: str) -> None:
    with pytest.raises(FaultMistake) as caught:
        parse_faults(script, "s.yaml")

    assert str(caught.value).startswith(f"s.yaml:{mistake}")


def test_an_empty_script_is_no_fault_and_a_missing_one_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("")
    (tmp_path / "one.yaml").write_text("faults: [{match: G, redirect: true, times: always}]")

    assert read_faults(tmp_path / "none.yaml") == []
    [fault] = read_faults(tmp_path / "one.yaml")
    assert (fault.match, fault.times, fault.after) == ("G", math.inf, 0)
    with pytest.raises(FaultMistake, match="cannot be read"):
        read_faults(tmp_path / "nowhere.yaml")


def test_every_example_of_the_reference_is_a_good_script() -> None:
    page = Path("docs/reference/emulator-faults.md").read_text()
    examples = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]

    faults = [fault for example in examples for fault in parse_faults(example, "page")]

    assert len(faults) >= 15
    kinds = {type(fault.action).__name__ for fault in faults}
    assert kinds == {
        *("Answer", "Refuse", "Delay", "Slow", "Truncate", "EmptyPage", "CountsBehind", "Redirect", "RevokeToken"),
        *("Replace", "Lose", "Duplicate", "Overtaken"),
    }


async def test_rate_limits_are_enforced_on_demand_for_each_resource(
    start_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.limits.monotonic", lambda: 0.0)
    emulator = await start_emulator(rate_limits=0.05)  # 3 a second
    paths = [f"/v2/datasets/{(await emulator.post('/v2/datasets')).data['id']}" for _ in range(2)]

    answers = await asyncio.gather(*(emulator.get(paths[0]) for _ in range(9)))
    other = await emulator.get(paths[1])

    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 6
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"60"}
    assert other.status == 200


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("GET", "/v2/datasets/x", 60),
        ("GET", "/v2/datasets/x/items", 60),
        ("POST", "/v2/datasets/x/items", 400),
        ("GET", "/v2/key-value-stores/x/records/K", 200),
        ("GET", "/v2/key-value-stores/x/records", 60),
        ("POST", "/v2/acts/x/runs", 400),
        ("POST", "/v2/actor-tasks/x/run-sync", 400),
        ("GET", "/v2/request-queues/x/head", 60),
        ("POST", "/v2/request-queues/x/head/lock", 40),
        ("POST", "/v2/request-queues/x/requests/batch", 40),
        ("PUT", "/v2/request-queues/x/requests/r/lock", 400),
        ("GET", "/v2/request-queues/x/requests", 60),
    ],
)
def test_each_kind_of_request_has_its_limit(method: str, path: str, limit: int) -> None:
    assert limit_of(method, path) == limit


def test_a_bucket_refills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("emulator.limits.monotonic", lambda: now)
    pace = Pace(0.05)

    def burst() -> list[bool]:
        return [pace.allows("r", 60) for _ in range(4)]

    first = burst()
    now = 1.0
    second = burst()

    assert first == second == [True, True, True, False]
    assert Pace(None).allows("r", 1)
