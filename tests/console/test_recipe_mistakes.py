"""Recipes with a mistake in them: whatever is misspelled or has a wrong type, is told where it stands."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import KeyPath, descend, parse
from config.routes import load
from console.recipes import recipe, recipes
from tests.console.recipe_files import environ, written

#: What stands below these keys is named by whoever writes the file, or read by somebody else.
FREE = {"fields", "set", "filled", "schema", "input", "headers"}
#: The same in `tests:`.
FREE_IN_TESTS = {"run", "items", "records", "sent", "paths", "texts"}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(name: str, text: str) -> list[Problem]:
    try:
        load(written(name, text), environ(name))
    except ConfigInvalid as exc:
        return list(exc.problems)
    return []


def each(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path below the top, from the top down."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*path, step)
        yield from each(below, (*path, step))


def places(name: str) -> Iterator[tuple[dict[str, Any], KeyPath]]:
    """A copy of a recipe for each place in it; of those that differ in an index only, one."""
    tree = parse(recipe(name), name).value
    found = {tuple("*" if isinstance(step, int) else step for step in path): path for path in each(tree)}
    for path in found.values():
        yield deepcopy(tree), path


def free(path: KeyPath, *, key: bool) -> bool:
    """Whether anything may stand there. Names of sinks and the like are free; what is below has keys of its own."""
    around = path[:-1] if key else path
    if path[0] in {"sources", "sinks"}:
        return key and (len(path) == 2 or "headers" in around)
    return any(step in (FREE_IN_TESTS if path[0] == "tests" else FREE) for step in around)


@pytest.mark.parametrize("name", recipes())
def test_a_misspelled_key_is_told_where_it_stands(name: str) -> None:
    untold = []
    for tree, (*around, key) in places(name):
        if isinstance(key, int) or free((*around, key), key=True):
            continue
        holder = descend(tree, tuple(around))
        holder[f"{key}x"] = holder.pop(key)
        text = json.dumps(tree, indent=1)
        place = parse(text, name).place((*around, f"{key}x"), key=True)
        unknown = f"there is no key `{key}x` here: did you mean `{key}`?"
        problems = told(name, text)
        if not any((at.line, at.column) == place and at.message.startswith(unknown) for at in problems):
            untold.append((*around, key))
    assert untold == []


def wrong(value: Any) -> Any:
    """A value of a type that cannot stand in its place."""
    return 7 if isinstance(value, dict) else {"wrong": ["type"]}


@pytest.mark.parametrize("name", recipes())
def test_a_value_of_the_wrong_type_is_told_where_it_stands(name: str) -> None:
    untold = []
    for tree, path in places(name):
        if free(path, key=False):
            continue
        descend(tree, path[:-1])[path[-1]] = wrong(descend(tree, path))
        text = json.dumps(tree, indent=1)
        here = {parse(text, name).place(path, key=key) for key in (False, True)}
        if not any((at.line, at.column) in here for at in told(name, text)):
            untold.append(path)
    assert untold == []


#: recipe → what stands in it, what is written instead, and what is said about that
GOLDEN: dict[str, list[tuple[str, str, str]]] = {
    "bright-data": [
        (
            "      id: snapshot_id",
            "      ids: snapshot_id",
            "22:7: sources.brightdata.event.ids: there is no key `ids` here: did you mean `id`? known are "
            "delivery, ended, id, kind, tests",
        ),
        (
            "ended: [ready, failed, canceled]",
            "ended: {ready: true}",
            "24:14: sources.brightdata.event.ended: must be text, not a mapping · Example: `ended: "
            "[crawl.completed, crawl.failed]`",
        ),
    ],
    "chain": [
        (
            "    to: [{sink: disk, path:",
            "    to: [{sink: disk, pfad:",
            "35:23: routes[1].to[0].pfad: there is no key `pfad` here: known are bad_items, batch, bom, columns, "
            "fields, format, formulas, name, omit, only, path, per, retry, send, set, sink, strict, transform, "
            "when, where",
        ),
        ("max_chain: 3}", "max_chain: three}", "16:49: sinks.next.max_chain: must be a whole number, not text"),
    ],
    "changes": [
        (
            "change: [new, changed, removed]",
            "changes: [new, changed, removed]",
            "28:9: routes[0].read.only.changes: there is no key `changes` here: did you mean `change`? known are "
            "change, key, max_keys",
        ),
        (
            "fields: [url, title, price]",
            "fields: url",
            "26:15: routes[0].read.fields: must be a mapping or a list, not text · Example: `fields: {url: "
            "item.url, price: item.price | number}`",
        ),
    ],
    "dbt-cloud": [
        (
            "{scheme: hmac, header: Authorization}",
            "{schema: hmac, header: Authorization}",
            "22:16: sources.dbt.webhook.verify.schema: there is no key `schema` here: did you mean `scheme`? · "
            "Example: `verify: standard_webhooks`",
        ),
        (
            'token_prefix: "Token "',
            "token_prefix: [Token]",
            '31:21: sources.dbt.api.token_prefix: must be text, not a list · Example: `token_prefix: "Token "`',
        ),
    ],
    "emulator": [
        (
            "api_url:",
            "api_adress:",
            "11:5: sources.apify.api_adress: there is no key `api_adress` here: known are accounts, api_url, "
            "reconcile, retention, settle, token, type, webhook",
        ),
        (
            "log_tail: 100",
            "log_tail: all",
            "20:54: routes[0].read.log_tail: must be a whole number, not text · Example: `log_tail: 20`",
        ),
    ],
    "file": [
        (
            "  - name: broken\n    when: {status: [",
            "  - name: broken\n    if: {status: [",
            "29:5: routes[1].if: there is no key `if` here: did you mean `when`? known are after, bad_items, batch, "
            "expect, final, freshness, name, read, retry, to, when, where",
        ),
        (
            'records: "*"',
            "records: 5",
            "23:16: routes[0].read.records: must be text, not the number 5 (in quotes it would be text) · Example: "
            '`records: ["SCREENSHOT-*", OUTPUT]`',
        ),
    ],
    "firecrawl": [
        (
            "      omit: [next]",
            "      leave_out: [next]",
            "34:7: sources.firecrawl.run.leave_out: there is no key `leave_out` here: known are at, cost, failed,"
            " fetch, finished, omit, program, status, succeeded",
        ),
        (
            "paging: next",
            "paging: nxt",
            "38:15: sources.firecrawl.items.paging: must be `offset`, `page`, `cursor`, `link` or `next`, not "
            "`nxt`; did you mean `next`? · Example: `paging: next`",
        ),
    ],
    "generic": [
        (
            "        tolerance: 5m",
            "        tolerance: 5",
            "22:20: sources.platform.webhook.verify.tolerance: `5` is not a duration: write a number and a unit "
            "(ms, s, m, h, d), such as 10m · Example: `tolerance: 5m`",
        ),
        (
            "style: cursor, param: cursor,",
            "style: cursor, parm: cursor,",
            "48:31: sources.platform.items.paging.parm: there is no key `parm` here: did you mean `param`? known "
            "are limit, next, param, size, style",
        ),
    ],
    "github-workflow": [
        (
            "header: X-Hub-Signature-256, prefix:",
            "header: X-Hub-Signature-256, perfix:",
            "23:59: sources.github.webhook.verify.perfix: there is no key `perfix` here: did you mean `prefix`? "
            "known are digest, encoding, header, part, prefix, scheme, signed, timestamp, tolerance",
        ),
        (
            "rate: 10/s",
            "rate: 10",
            "34:13: sources.github.api.rate: `10` is not a rate: write how many per time, such as 5/s or 1/15m · "
            "Example: `rate: 10/s`",
        ),
    ],
    "http": [
        (
            "secrets: [",
            "secret: [",
            "12:7: sources.apify.webhook.secret: there is no key `secret` here: did you mean `secrets`? known are "
            "allow_ips, capture, run_id, secrets, verify",
        ),
        (
            "batch: {items: 500}",
            "batch: 500",
            "25:28: routes[0].to[0].batch: must be a mapping, not the number 500 · Example: `batch: {items: 1000, "
            "bytes: 4MiB}`",
        ),
    ],
    "ittybit": [
        (
            "    webhook:\n      secrets: [",
            "    webhooks:\n      secrets: [",
            "20:5: sources.ittybit.webhooks: there is no key `webhooks` here: did you mean `webhook`? known are "
            "api_url, file_origins, reconcile, settle, token, type, version, webhook, work",
        ),
        (
            "lookback: 1d",
            "lookback: 60d",
            "22:39: sources.ittybit.reconcile.lookback: must be at most 2592000 seconds",
        ),
    ],
    "lake": [
        (
            "clean: true}",
            "claen: true}",
            "25:30: routes[0].read.claen: there is no key `claen` here: did you mean `clean`? known are clean, "
            "dataset, fields, log_tail, omit, only, records, requests, set, strict, transform, where",
        ),
        (
            "clean: true}",
            "clean: 'yes please'}",
            "25:37: routes[0].read.clean: must be true or false, not text · Example: `clean: true`",
        ),
    ],
    "postgres": [
        (
            "where: item.url and",
            "filter: item.url and",
            "22:7: routes[0].read.filter: there is no key `filter` here: did you mean `where`? known are clean, "
            "dataset, fields, log_tail, omit, only, records, requests, set, strict, transform, where",
        ),
        (
            "key: [url]}",
            "key: {url: yes}}",
            "30:63: routes[0].to[0].key: must be text, not a mapping · Example: `key: [url]`",
        ),
    ],
    "quality": [
        (
            "filled: {url: 100%, price: 90%}",
            "complete: {url: 100%, price: 90%}",
            "29:7: routes[0].expect.complete: there is no key `complete` here: known are cost, else, filled, items, "
            "schema",
        ),
        (
            "filled: {url: 100%, price: 90%}",
            "filled: {url: 100%, price: 0.9}",
            "29:34: routes[0].expect.filled.price: `0.9` is not a percentage: write a number from 0 to 100 and %, "
            "such as 50% · Example: `filled: {url: 100%, price: 90%}`",
        ),
    ],
    "records": [
        (
            "read: {records:",
            "read: {record:",
            "22:12: routes[0].read.record: there is no key `record` here: did you mean `records`? known are clean, "
            "dataset, fields, log_tail, omit, only, records, requests, set, strict, transform, where",
        ),
        (
            "bytes: record.size",
            "bytes: [record.size]",
            "31:18: routes[0].to[1].fields.bytes: must be an expression: text such as `item.price` · Example: "
            "`fields: {url: item.url, price: item.price | number}`",
        ),
    ],
    "replicate": [
        (
            "verify: standard_webhooks",
            "verify: standard-webhooks",
            "22:15: sources.replicate.webhook.verify: must be `token`, `hmac` or `standard_webhooks`, not "
            "`standard-webhooks`; did you mean `standard_webhooks`? · Example: `verify: standard_webhooks`",
        ),
        (
            "started: created_at",
            "since: created_at",
            "43:7: sources.replicate.runs.since: there is no key `since` here: known are at, fetch, id, optional, "
            "paging, started",
        ),
    ],
    "runs-table": [
        (
            "mode: upsert",
            "modus: upsert",
            "38:9: routes[0].to[0].modus: there is no key `modus` here: did you mean `mode`? known are bad_items, "
            "batch, columns, fields, key, mode, name, omit, only, order, retry, send, set, sink, stamp, strict, "
            "table, transform, when, where",
        ),
        (
            "reconcile: {every: 15m}",
            "reconcile: {every: 15}",
            "15:24: sources.apify.reconcile.every: `15` is not a duration: write a number and a unit (ms, s, m, h, "
            "d), such as 10m",
        ),
    ],
    "slack": [
        (
            "at_most: 1/15m",
            "at_most: 15m",
            "48:12: alerts.at_most: `15m` is not a rate: write how many per time, such as 5/s or 1/15m · Example: "
            "`at_most: 1/15m`",
        ),
        (
            "collect: {for:",
            "collect: {form:",
            "19:15: sinks.oncall.collect.form: there is no key `form` here: did you mean `for`? known are for, most",
        ),
    ],
    "sqlite": [
        (
            "table: items,",
            "tabel: items,",
            "25:20: routes[0].to[0].tabel: there is no key `tabel` here: did you mean `table`? known are bad_items, "
            "batch, columns, fields, key, mode, name, omit, only, order, retry, send, set, sink, stamp, strict, "
            "table, transform, when, where",
        ),
        (
            "read: {dataset: default}",
            "read: default",
            "22:11: routes[0].read: must be a mapping, not text · Example: `read: {dataset: default}`",
        ),
    ],
    "standard-webhooks": [
        (
            "delivery: header",
            "delivered: header",
            "23:7: sources.events.event.delivered: there is no key `delivered` here: did you mean `delivery`? "
            "known are delivery, ended, id, kind, tests",
        ),
        (
            "items: {at: data}",
            "items: data",
            "27:12: sources.events.items: must be a mapping, not text",
        ),
    ],
    "warehouse-and-lake": [
        (
            "after: {delete:",
            "afterwards: {delete:",
            "65:5: routes[0].afterwards: there is no key `afterwards` here: did you mean `after`? known are after, "
            "bad_items, batch, expect, final, freshness, name, read, retry, to, when, where",
        ),
        (
            "drop_from_usual: 50%",
            "drop_from_usual: half",
            "51:40: routes[0].expect.items.drop_from_usual: `half` is not a percentage: write a number from 0 to "
            "100 and %, such as 50% · Example: `drop_from_usual: 50%`",
        ),
    ],
}


def test_there_are_two_for_every_recipe() -> None:
    assert {name: len(mistakes) for name, mistakes in GOLDEN.items()} == dict.fromkeys(recipes(), 2)


@pytest.mark.parametrize(("name", "mistake"), [(name, one) for name, found in GOLDEN.items() for one in found])
def test_a_wrong_key_or_type_in_a_recipe_is_told_word_for_word(name: str, mistake: tuple[str, str, str]) -> None:
    written_, instead, message = mistake
    text = recipe(name)
    assert text.count(written_) == 1
    found = told(name, text.replace(written_, instead))
    assert "\n".join(map(str, found)) == f"runrelay.yaml:{message}"
