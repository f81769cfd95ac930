"""What somebody gets to read who made a mistake in an expression, or in what becomes of an item."""

from pathlib import Path

import pytest

from tests.config.loading import HEAD, ROUTE, TO, reads, sends, told

#: how messages end
WHERE = " · Example: `where: item.price and item.currency in ['EUR', 'USD']`"
FIELDS = " · Example: `fields: {url: item.url, price: item.price | number}`"
KNOWN_IN_READ = (
    "known are clean, dataset, fields, log_tail, omit, only, records, requests, set, strict, transform, where"
)

MISTAKES = {
    "braces around an expression": (
        reads('where: "{{ item.price }}"'),
        [f"9:19: routes[0].read.where: not an expression: write it without {{{{ }}}}{WHERE}"],
    ),
    "braces around a part of it": (
        reads('where: "{{ item.price }} > 3"'),
        [f"9:19: routes[0].read.where: not an expression: write it without {{{{ }}}}{WHERE}"],
    ),
    "braces without quotes": (
        reads("where: {{ item.price }}"),
        ["9:19: routes[0].read.where: a condition is written without {{ }}. Write: `read: {where: item.price}`"],
    ),
    "one equals sign": (
        reads("where: item.price = 3"),
        [f"9:19: routes[0].read.where: not an expression: unexpected '=': `==` compares{WHERE}"],
    ),
    "and as elsewhere": (
        reads("where: 'item.price && item.url'"),
        [f"9:19: routes[0].read.where: not an expression: unexpected char '&': write `and`{WHERE}"],
    ),
    "or as elsewhere": (
        reads("where: 'item.price || item.url'"),
        [f"9:19: routes[0].read.where: not an expression: expected token 'name', got '|': write `or`{WHERE}"],
    ),
    "not as elsewhere": (
        reads("where: '!item.price'"),
        [f"9:19: routes[0].read.where: not an expression: unexpected char '!': write `not`{WHERE}"],
    ),
    "not as elsewhere, without quotes": (
        ROUTE + "    read:\n      where: !item.price\n" + TO,
        ['10:14: routes[0].read.where: a text that begins with `!` needs quotes. Write: `where: "!item.price"`'],
    ),
    "three equals signs": (
        reads("where: 'item.a === 1'"),
        [f"9:19: routes[0].read.where: not an expression: unexpected '=': `==` compares{WHERE}"],
    ),
    "and in capitals": (
        reads("where: item.a AND item.b"),
        [f"9:19: routes[0].read.where: not an expression: unexpected 'AND': write it in small letters{WHERE}"],
    ),
    "if as elsewhere": (
        reads("fields: {a: 'item.a ? 1 : 2'}"),
        [
            "9:24: routes[0].read.fields.a: not an expression: unexpected char '?': write `a if condition else "
            f"b`{FIELDS}"
        ],
    ),
    "null is a value, none is a test": (
        reads("where: item.price is null"),
        [f"9:19: routes[0].read.where: unknown test `null`: did you mean `none`?{WHERE}"],
    ),
    "is not null": (
        reads("where: item.price is not null"),
        [f"9:19: routes[0].read.where: unknown test `null`: did you mean `none`?{WHERE}"],
    ),
    "None of Python": (
        reads("where: item.price is not None"),
        [f"9:19: routes[0].read.where: unknown test `None`: did you mean `none`?{WHERE}"],
    ),
    "null instead of an expression": (
        reads("where: null"),
        ["9:19: routes[0].read.where: `null` is no value here: leave the key out"],
    ),
    "a list in an expression without quotes": (
        reads("where: item.currency in ['EUR', 'USD'], clean: true"),
        [
            "9:19: inside {…} and […] a text with any of `,[]{}` needs quotes. Write: `read: {where: "
            "\"item.currency in ['EUR', 'USD']\", clean: true}`"
        ],
    ),
    "arguments in an expression without quotes": (
        reads("fields: {a: item.a | default('x', 'y')}"),
        [
            '9:24: inside {…} and […] a text with any of `,[]{}` needs quotes. Write: `read: {fields: {a: "item.a '
            "| default('x', 'y')\"}}`"
        ],
    ),
    "a quote that is never closed": (
        reads("where: item.a == 'x"),
        [f'9:19: routes[0].read.where: not an expression: unexpected char "\'": a quote is never closed{WHERE}'],
    ),
    "text after a closing quote": (
        reads("where: 'x' == item.a"),
        [
            "9:19: a text that goes on after its closing quote needs quotes around all of it. Write: `read: {where: "
            "\"'x' == item.a\"}`"
        ],
    ),
    "a method of Python's that is a test": (
        reads("where: item.url.startswith('http')"),
        [f"9:19: routes[0].read.where: expressions have no calls: write it as a test, `… is startswith('…')`{WHERE}"],
    ),
    "a method of Python's that is a filter": (
        reads("fields: {a: item.title.lower()}"),
        [f"9:24: routes[0].read.fields.a: expressions have no calls: write it as a filter, `… | lower`{FIELDS}"],
    ),
    "a function of Python's": (
        reads("where: len(item.title) > 3"),
        [f"9:19: routes[0].read.where: expressions have no calls: write it as a filter, `… | length`{WHERE}"],
    ),
    "a filter misspelled": (
        reads("fields: {a: item.a | numbr}"),
        [f"9:24: routes[0].read.fields.a: unknown filter `numbr`: did you mean `number`?{FIELDS}"],
    ),
    "a filter that is like none": (
        reads("fields: {a: item.a | zzz}"),
        [
            "9:24: routes[0].read.fields.a: unknown filter `zzz`: there are code, date, default, domain, duration, "
            "first, hmac, int, join, json, last, length, lower, map, mask, number, round, sha256, slug, split, "
            f"string, trim, upper, usd{FIELDS}"
        ],
    ),
    "a test misspelled": (
        reads("where: item.a is strin"),
        [f"9:19: routes[0].read.where: unknown test `strin`: did you mean `string`?{WHERE}"],
    ),
    "a field without its item": (
        reads("where: price > 10"),
        [f"9:19: routes[0].read.where: unknown name `price`: did you mean `item.price`?{WHERE}"],
    ),
    "item misspelled": (
        reads("where: itm.price > 10"),
        [f"9:19: routes[0].read.where: unknown name `itm`: did you mean `item`?{WHERE}"],
    ),
    "a field with a hyphen": (
        reads("where: item.first-name"),
        [f"9:19: routes[0].read.where: unknown name `name`: did you mean `item['first-name']`?{WHERE}"],
    ),
    "items for item": (
        reads("where: items.price"),
        [f"9:19: routes[0].read.where: unknown name `items`: did you mean `item`?{WHERE}"],
    ),
    "an expression that breaks off": (
        reads("where: item.price and"),
        [f"9:19: routes[0].read.where: not an expression: it breaks off{WHERE}"],
    ),
    "a bracket that is never closed": (
        reads("where: (item.price"),
        [f"9:19: routes[0].read.where: not an expression: it breaks off{WHERE}"],
    ),
    "an empty expression": (
        reads("where: ''"),
        [f"9:19: routes[0].read.where: not an expression: there is nothing{WHERE}"],
    ),
    "a number for an expression": (
        reads("where: 5"),
        [f"9:19: routes[0].read.where: must be an expression: text such as `item.price`{WHERE}"],
    ),
    "a mapping for an expression": (
        reads("where: {price: 5}"),
        [f"9:19: routes[0].read.where: must be an expression: text such as `item.price`{WHERE}"],
    ),
    "a list for an expression": (
        reads("where: [item.a, item.b]"),
        [f"9:19: routes[0].read.where: must be an expression: text such as `item.price`{WHERE}"],
    ),
    "a sign that does not exist": (
        reads("fields: {a: item.a * 2}"),
        [
            "9:24: routes[0].read.fields.a: expressions have no `*`: use names, `if`, and filters (code, date, "
            "default, domain, duration, first, hmac, int, join, json, last, length, lower, map, mask, number, "
            f"round, sha256, slug, split, string, trim, upper, usd){FIELDS}"
        ],
    ),
    "a loop": (
        sends("text: x, where: '{% for a in item %}x'"),
        [f"9:39: routes[0].to[0].where: not an expression: write it without {{{{ }}}}{WHERE}"],
    ),
    "a record in read": (
        reads("where: record.size > 1"),
        ["9:19: routes[0].read.where: `record` has no meaning in `read`: say it at the target with `send: records`"],
    ),
    "no fields": (reads("fields: {}"), [f"9:20: routes[0].read.fields: must not be empty{FIELDS}"]),
    "an empty list of fields": (reads("fields: []"), [f"9:20: routes[0].read.fields: must not be empty{FIELDS}"]),
    "one field that is no list": (
        reads("fields: url"),
        [f"9:20: routes[0].read.fields: must be a mapping or a list, not text{FIELDS}"],
    ),
    "fields that mix a list and a mapping": (
        reads("fields: [url, {price: item.price}]"),
        [f"9:26: routes[0].read.fields[1]: must be text, not a mapping{FIELDS}"],
    ),
    "fields that are a number": (
        reads("fields: 7"),
        [f"9:20: routes[0].read.fields: must be a mapping or a list, not the number 7{FIELDS}"],
    ),
    "fields within a field": (
        reads("fields: {a: {b: item.b}}"),
        [f"9:24: routes[0].read.fields.a: must be an expression: text such as `item.price`{FIELDS}"],
    ),
    "a list for a field": (
        reads("fields: {a: [item.a]}"),
        [f"9:24: routes[0].read.fields.a: must be an expression: text such as `item.price`{FIELDS}"],
    ),
    "a number for the name of a field": (
        reads("fields: [url, 5]"),
        [f"9:26: routes[0].read.fields[1]: must be text, not the number 5 (in quotes it would be text){FIELDS}"],
    ),
    "a field without a name": (
        reads("fields: {'': item.a}"),
        [f"9:25: routes[0].read.fields.: must not be empty{FIELDS}"],
    ),
    "a list of what is set": (
        reads("set: [a]"),
        ["9:17: routes[0].read.set: must be a mapping, not a list · Example: `set: {seen: run.finishedAt}`"],
    ),
    "nothing to set": (
        reads("set: {}"),
        ["9:17: routes[0].read.set: must not be empty · Example: `set: {seen: run.finishedAt}`"],
    ),
    "a mapping of what is omitted": (
        reads("omit: {a: 1}"),
        ["9:18: routes[0].read.omit: must be text, not a mapping · Example: `omit: [html]`"],
    ),
    "nothing to omit": (reads("omit: []"), ["9:18: routes[0].read.omit: must not be empty · Example: `omit: [html]`"]),
    "strict with a word": (
        reads("strict: very"),
        ["9:20: routes[0].read.strict: must be true or false, not text · Example: `strict: true`"],
    ),
    "a function without its module": (
        reads("transform: acme.clean"),
        [
            "9:23: routes[0].read.transform: not a function: write package.module:function · Example: `transform: "
            "acme.products:clean`"
        ],
    ),
    "a module that is not there": (
        reads("transform: acme.products:clean"),
        [
            "9:23: routes[0].read.transform: the module `acme.products` cannot be imported: ModuleNotFoundError: No "
            "module named 'acme' · Example: `transform: acme.products:clean`"
        ],
    ),
    "a function that is not there": (
        reads("transform: tests.config.loading:nothing"),
        [
            "9:23: routes[0].read.transform: the module `tests.config.loading` has no function `nothing` · Example: "
            "`transform: acme.products:clean`"
        ],
    ),
    "a function that is a number": (
        reads("transform: 7"),
        [
            "9:23: routes[0].read.transform: not a function: write package.module:function · Example: `transform: "
            "acme.products:clean`"
        ],
    ),
    "where, twice": (
        reads("where: item.a, where: item.b"),
        ["9:27: routes[0].read.where: the key `where` stands here twice; first in line 9"],
    ),
    "filter for where": (
        reads("filter: item.a"),
        [f"9:12: routes[0].read.filter: there is no key `filter` here: did you mean `where`? {KNOWN_IN_READ}"],
    ),
    "map for fields": (
        reads("map: {a: item.a}"),
        [f"9:12: routes[0].read.map: there is no key `map` here: did you mean `fields`? {KNOWN_IN_READ}"],
    ),
    "select for fields": (
        reads("select: [a]"),
        [f"9:12: routes[0].read.select: there is no key `select` here: did you mean `fields`? {KNOWN_IN_READ}"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_an_expression_is_told_with_its_place_and_remedy(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert told(tmp_path, HEAD + text) == [f"runrelay.yaml:{line}" for line in expected]


#: sinks whose options are templates, and how messages of one end
SINKS = """\
  disk: {type: file, base: x}
  web: {type: http, url: "https://api.example.com/"}
  talk: {type: notify, url: "https://hooks.slack.com/services/T00000000/B00000000/000000000000000000000000"}
  next: {type: actor, source: main}
"""
PATH = " · Example: `path: '{{ actor.name }}/{{ run.id }}.csv.gz'`"
#: of a target
TEMPLATES = {
    "a template that is not closed": (
        "sink: disk, path: '{{ run.id }.jsonl'",
        f"13:43: routes[0].to[1].path: not a template: unexpected '}}' (line 1){PATH}",
    ),
    "a template without a name": (
        "sink: disk, path: '{{ }}.jsonl'",
        f"13:43: routes[0].to[1].path: not a template: an expression is missing, or breaks off (line 1){PATH}",
    ),
    "a name that a template does not know": (
        "sink: disk, path: '{{ id }}.jsonl'",
        "13:43: routes[0].to[1].path: unknown name `id`: there are actor, batch, build, dataset, event, held, "
        f"items_read, record, route, run, schedule, source, target, task{PATH}",
    ),
    "a root misspelled": (
        "sink: disk, path: '{{ rn.id }}.jsonl'",
        f"13:43: routes[0].to[1].path: unknown name `rn`: did you mean `run`?{PATH}",
    ),
    "an item in a path": (
        "sink: disk, path: '{{ item.id }}.jsonl'",
        "13:43: routes[0].to[1].path: unknown name `item`: there are actor, batch, build, dataset, event, held, "
        f"items_read, record, route, run, schedule, source, target, task{PATH}",
    ),
    "a filter of a template misspelled": (
        "sink: disk, path: '{{ actor.name | slg }}'",
        f"13:43: routes[0].to[1].path: unknown filter `slg`: did you mean `slug`?{PATH}",
    ),
    "a call in a template": (
        "sink: disk, path: '{{ actor.name.lower() }}'",
        f"13:43: routes[0].to[1].path: templates have no calls: write it as a filter, `… | lower`{PATH}",
    ),
    "an argument that a filter does not take": (
        "sink: disk, path: '{{ run.finishedAt | date(format=1) }}'",
        f"13:43: routes[0].to[1].path: filter `date`: got an unexpected keyword argument 'format'; it takes form{PATH}",
    ),
    "an if that does not end": (
        "sink: disk, path: '{% if run.a %}x'",
        f"13:43: routes[0].to[1].path: not a template: an `{{% if … %}}` without its `{{% endif %}}` (line 1){PATH}",
    ),
    "a path that leads out": (
        "sink: disk, path: '../{{ run.id }}'",
        f"13:43: routes[0].to[1].path: a path leads down from what its sink names, and this one has `..`{PATH}",
    ),
    "a path that begins at the root": (
        "sink: disk, path: '/data/{{ run.id }}'",
        "13:43: routes[0].to[1].path: a path leads down from what its sink names, and this one has a `/` too "
        f"many{PATH}",
    ),
    "a path that ends with a slash": (
        "sink: disk, path: 'data/{{ run.id }}/'",
        "13:43: routes[0].to[1].path: a path leads down from what its sink names, and this one has a `/` too "
        f"many{PATH}",
    ),
    "a path that is a number": (
        "sink: disk, path: 5",
        f"13:43: routes[0].to[1].path: must be a template: text such as `{{{{ run.id }}}}.jsonl`{PATH}",
    ),
    "a reference where a template was meant": (
        "sink: disk, path: '${{ run.id }}'",
        "13:43: routes[0].to[1].path: a `${` without its `}`; for a literal ${ write $${",
    ),
    "a name in a body": (
        "sink: web, per: item, body: {id: '{{ itm.id }}'}",
        '13:53: routes[0].to[1].body: unknown name `itm`: did you mean `item`? · Example: `body: {sku: "{{ item.id '
        '}}", price: "{{ item.price }}"}`',
    ),
    "an item in the body of a batch": (
        "sink: web, per: batch, body: {id: '{{ item.id }}'}",
        "13:24: routes[0].to[1]: `item` has no meaning with `per: batch`",
    ),
    "an item in a message": (
        "sink: talk, text: '{{ item.id }}'",
        "13:43: routes[0].to[1].text: unknown name `item`: there are actor, alert, build, dataset, event, held, "
        'items_read, log_tail, record, route, run, schedule, source, target, task · Example: `text: "*{{ '
        'actor.name }}* {{ run.status }} {{ run.console_url }}"`',
    ),
    "items of an input misspelled": (
        "sink: next, actor: a/b, input: {startUrls: '{{ itmes }}'}",
        "13:56: routes[0].to[1].input: unknown name `itmes`: did you mean `items`? · Example: `input: {startUrls: "
        '"{{ items }}"}`',
    ),
    "an actor and a task": (
        "sink: next, actor: a/b, task: a/c",
        "13:24: routes[0].to[1]: say what is started: either `actor` or `task`",
    ),
}


@pytest.mark.parametrize(("target", "expected"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_mistake_in_a_template_is_told_with_its_place_and_remedy(tmp_path: Path, target: str, expected: str) -> None:
    text = HEAD + SINKS + ROUTE + f"    to: [{{sink: rows}}, {{{target}}}]\n"
    assert told(tmp_path, text) == [f"runrelay.yaml:{expected}"]
