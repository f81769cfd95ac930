"""What somebody gets to read who asks for changes where there is nothing to compare."""

from pathlib import Path

import pytest

from tests.config.loading import HEAD, table, told

TO = "    to: [{sink: rows}]\n"
ROUTE = "routes:\n  - name: all\n"
TABLES = "  db: {type: sqlite, path: x.db}\n\n" + ROUTE

FIELDS = " · Example: `fields: {url: item.url, price: item.price | number}`"
WHERE = " · Example: `where: item.price and item.currency in ['EUR', 'USD']`"

MISTAKES = {
    "no key": (
        ROUTE + "    to: [{sink: rows, only: {change: new}}]\n",
        ["9:23: routes[0].to[0].only.key: `key` is required · Example: `key: [url]`"],
    ),
    "a change that is none": (
        ROUTE + "    to: [{sink: rows, only: {change: [new, updated], key: id}}]\n",
        [
            "9:44: routes[0].to[0].only.change[1]: must be `new`, `changed` or `removed`, not `updated`"
            " · Example: `change: [new, changed]`",
        ],
    ),
    "two datasets": (
        ROUTE + "    read: {dataset: [default, details], only: {key: id}}\n" + TO,
        [
            "10:10: routes[0].to[0].only: `only` compares the items of one dataset: name just one under `dataset` "
            "of `read`",
        ],
    ),
    "every dataset": (
        ROUTE + '    read: {dataset: "*"}\n    to: [{sink: rows, only: {key: id}}]\n',
        [
            "10:29: routes[0].to[0].only: `only` compares the items of one dataset: name just one under `dataset` "
            "of `read`",
        ],
    ),
    "records": (
        ROUTE + "    read: {records: OUTPUT}\n    to: [{sink: out, send: records, only: {key: id}}]\n",
        [
            "10:43: routes[0].to[0].only: `only` compares items: it has no meaning with `send: records`",
        ],
    ),
    "a key that is not sent": (
        ROUTE + "    to: [{sink: rows, fields: {name: item.name}, only: {key: [url, name]}}]\n",
        [
            "9:56: routes[0].to[0].only: `fields` leaves no `url` to compare items by: add it there",
        ],
    ),
    "a key that is dropped": (
        ROUTE + "    to: [{sink: rows, omit: [id], only: {key: [id]}}]\n",
        [
            "9:41: routes[0].to[0].only: `omit` drops `id`, which items are compared by: leave it there",
        ],
    ),
    "a key in an object": (
        ROUTE + "    to: [{sink: rows, only: {key: product.id}}]\n",
        [
            "9:29: routes[0].to[0].only: `product.id` is in an object: make it a field with "
            "`set: {id: item.product.id}`, and compare by `id`",
        ],
    ),
    "an upsert by a key that is not sent": (
        TABLES + "    to: [{sink: db, table: t, fields: {url: item.url}, mode: upsert, key: [uri]}]\n",
        [
            "11:75: routes[0].to[0].key: `fields` leaves no `uri`, by which rows are told apart: add it there",
        ],
    ),
    "an upsert by a key that is dropped": (
        TABLES + "    to: [{sink: db, table: t, omit: url, mode: upsert, key: url}]\n",
        ["11:61: routes[0].to[0].key: `omit` drops `url`, by which rows are told apart: leave it there"],
    ),
    "an upsert by a key that read leaves out": (
        TABLES + "    read: {fields: [url]}\n    to: [{sink: db, table: t, mode: upsert, key: [uri]}]\n",
        ["12:50: routes[0].to[0].key: `fields` leaves no `uri`, by which rows are told apart: add it there"],
    ),
    "an upsert by a key that is added": (
        TABLES
        + "    read: {fields: [url]}\n    to: [{sink: db, table: t, set: {id: item.url}, mode: upsert, key: id}]\n",
        [],
    ),
    "a field that is to be filled and not made": (
        ROUTE + "    read: {fields: {url: item.url}}\n    expect: {filled: {uri: 100%}}\n" + TO,
        ["10:28: routes[0].expect.filled.uri: `fields` leaves no `uri`, which is to be filled: add it there"],
    ),
    "a path in a list of names": (
        ROUTE + "    read: {fields: [url, item.price]}\n" + TO,
        ["9:26: routes[0].read.fields[1]: a list holds names: write `price`, or `{price: item.price}`" + FIELDS],
    ),
    "a path into an object in a list of names": (
        ROUTE + "    read: {fields: [item.seller.name]}\n" + TO,
        ["9:21: routes[0].read.fields[0]: a list holds names: write `{name: item.seller.name}`" + FIELDS],
    ),
    "text without quotes": (
        ROUTE + "    read: {where: 'item.currency in [EUR, USD]'}\n" + TO,
        ["9:19: routes[0].read.where: unknown name `EUR`: did you mean `'EUR'`? Text stands in quotes" + WHERE],
    ),
    "no room": (
        ROUTE + "    to: [{sink: rows, only: {key: id, max_keys: 0}}]\n",
        [
            "9:49: routes[0].to[0].only.max_keys: must be at least 1 · Example: `max_keys: 1000000`",
        ],
    ),
}


@pytest.mark.parametrize(("added", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, added: str, said: list[str]) -> None:
    assert told(tmp_path, HEAD + added) == [f"runrelay.yaml:{line}" for line in said]


def test_what_is_said_of_a_route_holds_for_its_targets(tmp_path: Path) -> None:
    route = (
        "routes: [{name: all, read: {only: {key: id}}, to: [{sink: rows}, {sink: rows, name: b, only: {key: [a, b]}}]}]"
    )
    first, second = table(tmp_path, HEAD + route).routes[0].to
    assert first.only
    assert second.only
    assert (first.only.change, first.only.key, first.only.max_keys) == (
        ("new", "changed", "removed"),
        ("id",),
        1_000_000,
    )
    assert second.only.key == ("a", "b")
