"""What somebody gets to read who made a mistake in `only`, `expect`, `freshness`, `where` or `send`."""

from pathlib import Path

import pytest

from tests.config.loading import HEAD, ROUTE, TO, expects, reads, route, sends, told

#: how messages end
FIELDS = " · Example: `fields: {url: item.url, price: item.price | number}`"
KNOWN_IN_READ = (
    "known are clean, dataset, fields, log_tail, omit, only, records, requests, set, strict, transform, where"
)

MISTAKES = {
    "only with a word": (
        reads("only: new"),
        [
            "9:18: routes[0].read.only: must be a mapping, not text · Example: `only: {change: [new, changed], key: "
            "[url]}`"
        ],
    ),
    "only with a list": (
        reads("only: [new]"),
        [
            "9:18: routes[0].read.only: must be a mapping, not a list · Example: `only: {change: [new, changed], "
            "key: [url]}`"
        ],
    ),
    "only without a key": (
        reads("only: {change: new}"),
        ["9:12: routes[0].read.only.key: `key` is required · Example: `key: [url]`"],
    ),
    "a change that is none": (
        reads("only: {change: [added], key: url}"),
        [
            "9:28: routes[0].read.only.change[0]: must be `new`, `changed` or `removed`, not `added` · Example: "
            "`change: [new, changed]`"
        ],
    ),
    "no change": (
        reads("only: {change: [], key: url}"),
        ["9:27: routes[0].read.only.change: must not be empty · Example: `change: [new, changed]`"],
    ),
    "an empty key": (
        reads("only: {key: []}"),
        ["9:24: routes[0].read.only.key: must not be empty · Example: `key: [url]`"],
    ),
    "keys for key": (
        reads("only: {keys: [url]}"),
        [
            "9:19: routes[0].read.only.keys: there is no key `keys` here: did you mean `key`? known are change, "
            "key, max_keys"
        ],
    ),
    "no keys at all": (
        reads("only: {key: url, max_keys: 0}"),
        ["9:39: routes[0].read.only.max_keys: must be at least 1 · Example: `max_keys: 1000000`"],
    ),
    "a key that fields leave out": (
        reads("fields: {a: item.a}, only: {key: url}"),
        ["10:10: routes[0].to[0].only: `fields` leaves no `url` to compare items by: add it there"],
    ),
    "only with records": (
        sends("only: {key: url}", "out", "records: '*'"),
        ["10:28: routes[0].to[0].only: `only` compares items: it has no meaning with `send: records`"],
    ),
    "an expectation of nothing": (
        expects(""),
        [
            "9:13: routes[0].expect: expects nothing: give `items`, `filled`, `schema` or `cost` · Example: "
            "`expect: {items: {min: 100}}`"
        ],
    ),
    "nothing but else": (
        expects("else: [{sink: notes}]"),
        [
            "9:13: routes[0].expect: expects nothing: give `items`, `filled`, `schema` or `cost` · Example: "
            "`expect: {items: {min: 100}}`"
        ],
    ),
    "more at least than at most": (
        expects("items: {min: 5, max: 3}"),
        [
            "9:21: routes[0].expect.items: no run can have that: `min` is more than `max` · Example: `items: {min: "
            "100, drop_from_usual: 50%}`"
        ],
    ),
    "items as a number": (
        expects("items: 100"),
        [
            "9:21: routes[0].expect.items: must be a mapping, not the number 100 · Example: `items: {min: 100, "
            "drop_from_usual: 50%}`"
        ],
    ),
    "items that say nothing": (
        expects("items: {}"),
        [
            "9:21: routes[0].expect.items: says nothing: give `min`, `max` or `drop_from_usual` · Example: `items: "
            "{min: 100, drop_from_usual: 50%}`"
        ],
    ),
    "fewer than none": (
        expects("items: {min: -1}"),
        ["9:27: routes[0].expect.items.min: must be at least 0 · Example: `min: 100`"],
    ),
    "a percentage without its sign": (
        expects("filled: {url: 90}"),
        [
            "9:28: routes[0].expect.filled.url: `90` is not a percentage: write a number from 0 to 100 and %, such "
            "as 50% · Example: `filled: {url: 100%, price: 90%}`"
        ],
    ),
    "a fraction for a percentage": (
        expects("filled: {url: 0.9}"),
        [
            "9:28: routes[0].expect.filled.url: `0.9` is not a percentage: write a number from 0 to 100 and %, such "
            "as 50% · Example: `filled: {url: 100%, price: 90%}`"
        ],
    ),
    "more than all": (
        expects("filled: {url: 110%}"),
        [
            "9:28: routes[0].expect.filled.url: `110%` is not a percentage: write a number from 0 to 100 and %, "
            "such as 50% · Example: `filled: {url: 100%, price: 90%}`"
        ],
    ),
    "a list of what is filled": (
        expects("filled: [url]"),
        ["9:22: routes[0].expect.filled: must be a mapping, not a list · Example: `filled: {url: 100%, price: 90%}`"],
    ),
    "nothing that is filled": (
        expects("filled: {}"),
        ["9:22: routes[0].expect.filled: must not be empty · Example: `filled: {url: 100%, price: 90%}`"],
    ),
    "a fraction of what is usual": (
        expects("items: {drop_from_usual: 0.5}"),
        [
            "9:39: routes[0].expect.items.drop_from_usual: `0.5` is not a percentage: write a number from 0 to 100 "
            "and %, such as 50% · Example: `drop_from_usual: 50%`"
        ],
    ),
    "the name of a schema": (
        expects("schema: product.json"),
        [
            "9:22: routes[0].expect.schema: not a JSON Schema: write it here, or take it from a file: ${file:NAME} "
            "· Example: `schema: {required: [url]}`"
        ],
    ),
    "a type that is none": (
        expects("schema: {type: objct}"),
        [
            '9:22: routes[0].expect.schema: not a JSON Schema: `type`: "objct" is no type: there are array, '
            "boolean, integer, null, number, object, string · Example: `schema: {required: [url]}`"
        ],
    ),
    "a schema that leads elsewhere": (
        expects("schema: {$ref: 'https://a.example/x.json'}"),
        [
            "9:22: routes[0].expect.schema: not a JSON Schema: `$ref: https://a.example/x.json` leads elsewhere: "
            "put the schema itself here · Example: `schema: {required: [url]}`"
        ],
    ),
    "a rule of a schema with the wrong type": (
        expects("schema: {required: url}"),
        [
            '9:22: routes[0].expect.schema: not a JSON Schema: `required`: "url" is not of type "array" · Example: '
            "`schema: {required: [url]}`"
        ],
    ),
    "cost as a number": (
        expects("cost: 5"),
        [
            "9:20: routes[0].expect.cost: must be a mapping, not the number 5 · Example: `cost: {max_usd: 5, "
            "max_usd_per_1000: 0.5}`"
        ],
    ),
    "cost that says nothing": (
        expects("cost: {}"),
        [
            "9:20: routes[0].expect.cost: says nothing: give `max_usd` or `max_usd_per_1000` · Example: `cost: "
            "{max_usd: 5, max_usd_per_1000: 0.5}`"
        ],
    ),
    "a limit of cost misspelled": (
        expects("cost: {usd: 5}"),
        [
            "9:21: routes[0].expect.cost.usd: there is no key `usd` here: did you mean `max_usd`? known are "
            "max_usd, max_usd_per_1000"
        ],
    ),
    "a sign of a currency": (
        expects("cost: {max_usd: $5}"),
        ["9:30: routes[0].expect.cost.max_usd: must be a number, not text · Example: `max_usd: 5`"],
    ),
    "a sink in else that is not defined": (
        expects("items: {min: 1}, else: [{sink: note}]"),
        [
            "9:45: routes[0].expect.else[0].sink: no sink `note` is defined: did you mean `notes`? defined are out, "
            "rows, notes"
        ],
    ),
    "else without a list": (
        expects("items: {min: 1}, else: {sink: notes}"),
        ["9:37: routes[0].expect.else: must be a list, not a mapping · Example: `else: [{sink: oncall}]`"],
    ),
    "nobody in else": (
        expects("items: {min: 1}, else: []"),
        ["9:37: routes[0].expect.else: must not be empty · Example: `else: [{sink: oncall}]`"],
    ),
    "a name in else that a target has": (
        expects("items: {min: 1}, else: [{sink: rows}]"),
        ["9:45: routes[0].expect.else[0].sink: `rows` is used twice in this route: give this one a `name:` of its own"],
    ),
    "expect below read": (
        reads("expect: {items: {min: 1}}"),
        [
            "9:12: routes[0].read.expect: there is no key `expect` here: it stands in the route, beside `read:`; "
            f"{KNOWN_IN_READ}"
        ],
    ),
    "a key of others": (
        expects("min_items: 4"),
        [
            "9:14: routes[0].expect.min_items: there is no key `min_items` here: did you mean `items`? known are "
            "cost, else, filled, items, schema"
        ],
    ),
    "a target called expect": (
        sends("name: expect"),
        ["9:29: routes[0].to[0].name: `expect` is what a route looks at a run by: give this target another `name:`"],
    ),
    "expect where no items are read": (
        ROUTE + "    read: {records: '*'}\n    expect: {items: {min: 1}}\n    to: [{sink: out}]\n",
        ["10:21: routes[0].expect.items: this route reads no items: of others only `cost` can be looked at"],
    ),
    "then for else": (
        expects("items: {min: 1}, then: [{sink: notes}]"),
        [
            "9:31: routes[0].expect.then: there is no key `then` here: did you mean `else`? known are cost, else, "
            "filled, items, schema"
        ],
    ),
    "freshness as a duration": (
        route("freshness: 6h"),
        ["9:16: routes[0].freshness: must be a mapping, not text · Example: `freshness: {every: 6h}`"],
    ),
    "both an interval and a time": (
        route("freshness: {every: 6h, by: '07:00'}"),
        ["9:16: routes[0].freshness: give either `every` or `by` · Example: `freshness: {every: 6h}`"],
    ),
    "neither of them": (
        route("freshness: {}"),
        ["9:16: routes[0].freshness: give either `every` or `by` · Example: `freshness: {every: 6h}`"],
    ),
    "a zone that is none": (
        route("freshness: {by: 07:00 Europe/Berln}"),
        [
            "9:21: routes[0].freshness.by: `Europe/Berln` is no time zone: write it as Europe/Berlin or "
            "America/New_York · Example: `by: 07:00 Europe/Berlin`"
        ],
    ),
    "a time with am": (
        route("freshness: {by: 7am}"),
        [
            "9:21: routes[0].freshness.by: not a time of day: write it as 07:00, with a zone as 07:00 Europe/Berlin "
            "· Example: `by: 07:00 Europe/Berlin`"
        ],
    ),
    "a time after midnight": (
        route("freshness: {by: '25:00'}"),
        [
            "9:21: routes[0].freshness.by: not a time of day: write it as 07:00, with a zone as 07:00 Europe/Berlin "
            "· Example: `by: 07:00 Europe/Berlin`"
        ],
    ),
    "an interval without a unit": (
        route("freshness: {every: 6}"),
        [
            "9:24: routes[0].freshness.every: `6` is not a duration: write a number and a unit (ms, s, m, h, d), "
            "such as 10m · Example: `every: 6h`"
        ],
    ),
    "an interval of seconds": (
        route("freshness: {every: 5s}"),
        ["9:24: routes[0].freshness.every: must be at least 60 seconds · Example: `every: 6h`"],
    ),
    "a day written out": (
        route("freshness: {by: '07:00', days: [monday]}"),
        [
            "9:37: routes[0].freshness.days[0]: must be `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`, not "
            "`monday`; did you mean `mon`? · Example: `days: [mon, tue, wed, thu, fri]`"
        ],
    ),
    "days of an interval": (
        route("freshness: {every: 1h, days: [mon]}"),
        ["9:16: routes[0].freshness: `days` needs `by`: a time of those days · Example: `freshness: {every: 6h}`"],
    ),
    "freshness of what is unmatched": (
        "unmatched: {to: [{sink: notes}], freshness: {every: 6h}}\n" + ROUTE + TO,
        [
            "7:34: unmatched.freshness: there is no key `freshness` here: it stands in the route, beside `read:`; "
            "known are bad_items, batch, retry, to"
        ],
    ),
    "an item in where of a route": (
        route("where: item.price > 5"),
        [
            "9:12: routes[0].where: `item` has no meaning here, where the whole run is looked at: move it below "
            "`read:` · Example: `where: run.usageTotalUsd > 1`"
        ],
    ),
    "one equals sign in where of a route": (
        route("where: run.status = 'X'"),
        [
            "9:12: routes[0].where: not an expression: unexpected '=': `==` compares · Example: `where: "
            "run.usageTotalUsd > 1`"
        ],
    ),
    "a field without its run": (
        route("where: usageTotalUsd > 5"),
        [
            "9:12: routes[0].where: unknown name `usageTotalUsd`: did you mean `run.usageTotalUsd`? · Example: "
            "`where: run.usageTotalUsd > 1`"
        ],
    ),
    "a record in where of a route": (
        route("where: record.size"),
        [
            "9:12: routes[0].where: `record` has no meaning here, where the whole run is looked at: move it below "
            "`read:` · Example: `where: run.usageTotalUsd > 1`"
        ],
    ),
    "an expression in when": (
        route("when: run.usageTotalUsd > 5"),
        ["9:11: routes[0].when: must be a mapping, not text · Example: `when: {status: SUCCEEDED}`"],
    ),
    "where below when": (
        route("when: {where: run.usageTotalUsd > 5}"),
        [
            "9:12: routes[0].when.where: there is no key `where` here: it stands beside `when:`, where it sees the "
            "run, or below `read:` and at a target, where it sees each item; known are actor, build, cost, not, "
            "origin, schedule, source, status, task"
        ],
    ),
    "fields of a route": (
        route("fields: {a: item.a}"),
        [
            "9:5: routes[0].fields: there is no key `fields` here: it stands below `read:`, or at a target; known "
            "are after, bad_items, batch, expect, final, freshness, name, read, retry, to, when, where"
        ],
    ),
    "only of a route": (
        route("only: {key: a}"),
        [
            "9:5: routes[0].only: there is no key `only` here: it stands below `read:`, or at a target; known are "
            "after, bad_items, batch, expect, final, freshness, name, read, retry, to, when, where"
        ],
    ),
    "where with the run": (
        sends("send: run, where: run.id", "out"),
        ["9:40: routes[0].to[0].where: there is one run: choose it with `when`, or with `where` of the route"],
    ),
    "an item with the run": (
        sends("send: run, fields: {id: item.id}"),
        ["9:47: routes[0].to[0].fields.id: `item` has no meaning with `send: run`"],
    ),
    "the run as a row without fields": (
        sends("send: run"),
        ["9:29: routes[0].to[0].send: `rows` cannot take run: it takes items: name the `fields` to make rows of"],
    ),
    "a list of fields with the run": (
        sends("send: run, fields: [id]"),
        [
            "9:29: routes[0].to[0].send: `rows` cannot take run: it takes items: name the `fields` to make rows of",
            "9:42: routes[0].to[0].fields: `fields` changes items: with `send: run` say what they are made of, "
            "`fields: {id: run.id}`",
        ],
    ),
    "set with the run": (
        sends("send: run, set: {a: run.id}", "out"),
        [
            "9:38: routes[0].to[0].set: `set` changes items: with `send: run` say what they are made of, `fields: "
            "{id: run.id}`"
        ],
    ),
    "omit with the log": (
        sends("send: log, omit: a", "out", "log_tail: 5"),
        ["10:39: routes[0].to[0].omit: `omit` has no meaning with `send: log`"],
    ),
    "an item with records": (
        sends("where: item.a", "out", "records: '*'"),
        ["10:29: routes[0].to[0].where: `item` has no meaning with `send: records`"],
    ),
    "set with records": (
        sends("set: {a: record.key}", "out", "records: '*'"),
        [
            "10:27: routes[0].to[0].set: `set` changes items: with `send: records` say what they are made of, "
            "`fields: {key: record.key}`"
        ],
    ),
    "records to a table without send": (
        sends("fields: {key: record.key}", "rows", "records: '*'"),
        [
            "10:17: routes[0].to[0].sink: `rows` takes items, but this route reads records: `send: records` with "
            "`fields` makes rows of them"
        ],
    ),
    "record misspelled": (
        sends("send: records, fields: {key: recrd.key}", "rows", "records: '*'"),
        [f"10:52: routes[0].to[0].fields.key: unknown name `recrd`: did you mean `record`?{FIELDS}"],
    ),
    "a record with items": (
        sends("where: record.key"),
        ["9:30: routes[0].to[0].where: `record` has no meaning with `send: items`"],
    ),
    "fields misspelled": (
        sends("send: items, feilds: {a: item.a}"),
        [
            "9:36: routes[0].to[0].feilds: there is no key `feilds` here: did you mean `fields`? known are "
            "bad_items, batch, fields, name, omit, only, retry, send, set, sink, strict, text, transform, when, "
            "where"
        ],
    ),
    "where of read without items": (
        ROUTE + "    read: {records: '*', where: record.size > 4}\n    to: [{sink: out}]\n",
        ["9:11: routes[0].read: this route reads no items: say at the target what becomes of the others"],
    ),
    "rows to a sink without rows": (
        sends("fields: {a: run.id}", "notes"),
        ["9:32: routes[0].to[0].fields: `notes` cannot take rows, which `fields` makes of run: it takes run"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_what_a_route_wants_is_told_with_its_place_and_remedy(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert told(tmp_path, HEAD + text) == [f"runrelay.yaml:{line}" for line in expected]
