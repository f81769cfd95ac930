"""Real Actors for the end-to-end tests: small programs that talk to the platform over HTTP."""

from pathlib import Path

import pytest

PUSHER = """
import json, os, sys, urllib.request

BASE, TOKEN = os.environ["APIFY_API_BASE_URL"], os.environ["APIFY_TOKEN"]


def call(method, path, body, kind="application/json"):
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": kind}
    urllib.request.urlopen(urllib.request.Request(BASE + path, body, headers, method=method)).read()


def get(path):
    request = urllib.request.Request(BASE + path, headers={"Authorization": "Bearer " + TOKEN})
    return urllib.request.urlopen(request).read()


store, dataset = os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"], os.environ["ACTOR_DEFAULT_DATASET_ID"]
given = json.loads(get(f"/v2/key-value-stores/{store}/records/INPUT") or b"null") or {}
have = json.loads(get(f"/v2/datasets/{dataset}"))["data"]["itemCount"]
print("pushing", given)
if "rows" in given:
    call("POST", f"/v2/datasets/{dataset}/items", json.dumps(given["rows"]).encode())
for start in range(have, have + given.get("items", 0), 500):
    end = min(start + 500, have + given["items"])
    rows = [given.get("row") or {"n": n, "text": "x" * given.get("size", 10)} for n in range(start, end)]
    call("POST", f"/v2/datasets/{dataset}/items", json.dumps(rows).encode())
for key, (kind, text) in given.get("records", {}).items():
    call("PUT", f"/v2/key-value-stores/{store}/records/{key}", text.encode(), kind)
print("done")
sys.exit(given.get("exit", 0))
"""


@pytest.fixture
def actors(tmp_path: Path) -> Path:
    folder = tmp_path / "actors" / "pusher"
    folder.mkdir(parents=True)
    (folder / "actor.yaml").write_text('name: pusher\ncommand: ["{python}", "main.py"]\n')
    (folder / "main.py").write_text(PUSHER)
    return folder.parent
