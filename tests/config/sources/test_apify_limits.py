"""Which limit a request to Apify counts towards."""

import pytest

from config.contracts.api import Rate
from config.sources.apify import Config, connect
from config.sources.apify.limits import rate

RUN, STORE, QUEUE = "/actor-runs/r", "/key-value-stores/s", "/request-queues/q"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        # one thing, asked as usual
        ("GET", RUN, Rate("actor-runs/r", 60)),
        ("DELETE", RUN, Rate("actor-runs/r", 60)),
        ("GET", f"{RUN}/log", Rate("actor-runs/r", 60)),
        ("POST", f"{RUN}/abort", Rate("actor-runs/r", 60)),
        ("GET", f"{RUN}/dataset/items", Rate("actor-runs/r", 60)),
        ("GET", "/datasets/d", Rate("datasets/d", 60)),
        ("GET", "/datasets/d/items", Rate("datasets/d", 60)),
        ("GET", f"{STORE}/keys", Rate("key-value-stores/s", 60)),
        ("GET", f"{QUEUE}/head", Rate("request-queues/q", 60)),
        ("GET", f"{QUEUE}/requests", Rate("request-queues/q", 60)),
        ("GET", "/acts/a", Rate("actors/a", 60)),
        ("GET", "/actors/a/runs/last", Rate("actors/a", 60)),
        ("GET", "/actors/a/runs", Rate("actors/a", 60)),
        ("POST", "/actors/a/run-sync", Rate("actors/a", 60)),
        ("GET", "/users/me", Rate("users/me", 60)),
        ("GET", "/actor-runs", Rate("actor-runs", 60)),
        # records
        ("GET", f"{STORE}/records/OUTPUT", Rate("key-value-stores/s records", 200)),
        ("HEAD", f"{STORE}/records/OUTPUT", Rate("key-value-stores/s records", 200)),
        ("PUT", f"{STORE}/records/a%2Fb", Rate("key-value-stores/s records", 200)),
        ("DELETE", f"{STORE}/records/%2E%2E", Rate("key-value-stores/s records", 200)),
        # starts
        ("POST", "/acts/me~shop/runs", Rate("actors/me~shop start", 400)),
        ("POST", "/actors/me~shop/runs", Rate("actors/me~shop start", 400)),
        ("POST", "/actor-tasks/t/runs", Rate("actor-tasks/t start", 400)),
        ("POST", "/actor-tasks/t/run-sync", Rate("actor-tasks/t start", 400)),
        ("GET", "/actor-tasks/t/run-sync-get-dataset-items", Rate("actor-tasks/t start", 400)),
        ("POST", f"{RUN}/metamorph", Rate("actor-runs/r start", 400)),
        # writing rows and requests
        ("POST", "/datasets/d/items", Rate("datasets/d push", 400)),
        ("POST", f"{QUEUE}/requests", Rate("request-queues/q requests", 400)),
        ("GET", f"{QUEUE}/requests/x", Rate("request-queues/q requests", 400)),
        ("PUT", f"{QUEUE}/requests/x", Rate("request-queues/q requests", 400)),
        ("DELETE", f"{QUEUE}/requests/x", Rate("request-queues/q requests", 400)),
        ("PUT", f"{QUEUE}/requests/x/lock", Rate("request-queues/q requests", 400)),
        ("DELETE", f"{QUEUE}/requests/x/lock", Rate("request-queues/q requests", 400)),
        ("POST", f"{QUEUE}/requests/batch", Rate("request-queues/q batch", 40)),
        ("DELETE", f"{QUEUE}/requests/batch", Rate("request-queues/q batch", 40)),
        ("POST", f"{QUEUE}/head/lock", Rate("request-queues/q lock head", 40)),
        ("POST", f"{QUEUE}/requests/unlock", Rate("request-queues/q", 60)),
    ],
)
def test_each_endpoint_has_the_limit_of_the_reference(method: str, path: str, expected: Rate) -> None:
    assert rate(method, path) == expected


def test_the_source_keeps_them() -> None:
    manners = connect("apify", Config.model_validate({"token": "t", "webhook": {"secrets": ["s"]}})).manners
    assert manners.rate("GET", "/datasets/d") == Rate("datasets/d", 60)
    assert (round(manners.in_all), manners.limit_header) == (4167, "x-ratelimit-limit")
