"""What orchestrators and Prometheus ask."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.queue import QueueUnavailable
from tests.receiver.conftest import SECRET
from tests.receiver.plain import TestQueue
from tests.receiver.wire import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_living_process_is_healthy_even_without_its_queue(wire: Wire, queue: TestQueue) -> None:
    queue.findings = ["Redis does not answer"]
    reply = await wire.send("GET", "/healthz")
    assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_it_is_ready_when_the_queue_is(wire: Wire) -> None:
    reply = await wire.send("GET", "/readyz")
    assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_a_200_would_promise_too_much_and_says_why(wire: Wire, queue: TestQueue) -> None:
    queue.findings = ["appendonly is no", "maxmemory-policy is allkeys-lru"]
    reply = await wire.send("GET", "/readyz")
    assert (reply.status, reply.headers["retry-after"]) == (503, "60")
    assert reply.json == {"kind": "queue_unavailable", "message": "appendonly is no; maxmemory-policy is allkeys-lru"}


async def test_it_is_not_ready_when_the_queue_cannot_even_say(
    wire: Wire, queue: TestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent() -> list[str]:
        raise QueueUnavailable("TimeoutError")

    monkeypatch.setattr(queue, "ready", silent)
    reply = await wire.send("GET", "/readyz")
    assert (reply.status, reply.kind) == (503, "queue_unavailable")


async def test_metrics_count_answers_and_measure_time_and_size(wire: Wire) -> None:
    before = await samples(wire)
    body = b'{"run": "m1"}'
    await wire.post("/webhooks/plain", body, SECRET)
    await wire.post("/webhooks/plain", body, SECRET)
    await wire.post("/webhooks/plain", body, "wrong")
    await wire.post("/webhooks/nobody", body, SECRET)
    await wire.send("GET", "/webhooks/plain")
    await wire.send("GET", "/healthz")
    after = await samples(wire)
    assert {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)} == {
        "runrelay_webhooks_total plain accepted": 1,
        "runrelay_webhooks_total plain duplicate": 1,
        "runrelay_webhooks_total plain token_invalid": 1,
        "runrelay_webhooks_total  source_not_found": 1,
        "runrelay_webhooks_total  method_not_allowed": 1,
        "runrelay_webhook_seconds_count": 5,
        "runrelay_webhook_bytes_count": 5,
        "runrelay_webhook_bytes_sum": 2 * len(body),
    }


async def test_what_never_became_a_request_is_counted_by_its_answer(wire: Wire) -> None:
    before = await samples(wire)
    for raw in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000):
        async with wire.socket() as socket:
            await socket.say(raw)
            await socket.reply()
    after = await samples(wire)
    assert {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)} == {
        "runrelay_connections_refused_total request_invalid": 1,
        "runrelay_connections_refused_total headers_too_large": 1,
    }


async def test_a_histogram_has_each_value_in_its_bucket(wire: Wire) -> None:
    before = await buckets(wire)
    for size in (256, 257, 2000, 2000, 70_000):
        await wire.post("/webhooks/plain", b'{"run": "m1"}'.ljust(size), SECRET)
    after = await buckets(wire)
    added = {bound: after[bound] - before[bound] for bound in after}
    assert added == {
        "256.0": 1,
        "1024.0": 2,
        "4096.0": 4,
        "16384.0": 4,
        "65536.0": 4,
        "262144.0": 5,
        "1.048576e+06": 5,
        "+Inf": 5,
    }


async def test_it_is_ready_and_says_what_should_be_mended(wire: Wire, queue: TestQueue) -> None:
    queue.warnings = ["Redis uses 75% of its maxmemory"]
    reply = await wire.send("GET", "/readyz")
    assert (reply.status, reply.json) == (200, {"status": "ok", "warnings": ["Redis uses 75% of its maxmemory"]})


async def buckets(wire: Wire) -> dict[str, float]:
    """Of bodies: how many had at most so many bytes."""
    text = (await wire.send("GET", "/metrics")).body.decode()
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.labels["le"]: sample.value for sample in found if sample.name == "runrelay_webhook_bytes_bucket"}


async def samples(wire: Wire) -> dict[str, float]:
    """Counters and counts, by name and labels."""
    reply = await wire.send("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    found = [sample for family in text_string_to_metric_families(reply.body.decode()) for sample in family.samples]
    wanted = ("runrelay_webhooks_total", "_refused_total", "_count", "_bytes_sum")
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels, reverse=True))]): sample.value
        for sample in found
        if sample.name.endswith(wanted)
    }
