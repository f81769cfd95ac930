"""YAML as plain values with places, and the mistakes that YAML itself makes easy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import ConfigInvalid
from config.document import Document, parse, read


def told(text: str) -> list[str]:
    try:
        return [str(problem) for problem in parse(text, "f").problems]
    except ConfigInvalid as exc:
        return [str(problem) for problem in exc.problems]


def test_values_follow_the_core_schema_of_yaml_1_2() -> None:
    text = "a: [on, no, 12:30, 1_000, 2020-01-01, 0o10, 012, 0x1f, 1.5, -3, true, <<, '7', 'é€😀', '']\n"
    values = ["on", "no", "12:30", "1_000", "2020-01-01", 8, 12, 31, 1.5, -3, True, "<<", "7", "é€😀", ""]
    assert parse(text, "f").value == {"a": values}


def test_every_value_and_key_has_its_place() -> None:
    document = parse("a:\n  - b: 'é€😀'\n    c: 1\n", "f")
    assert document.places == {
        (): (1, 1),
        ("a",): (2, 3),
        ("a", 0): (2, 5),
        ("a", 0, "b"): (2, 8),
        ("a", 0, "c"): (3, 8),
    }
    assert document.keys == {("a",): (1, 1), ("a", 0, "b"): (2, 5), ("a", 0, "c"): (3, 5)}
    assert document.place(("a", 0, "zzz", 7)) == (2, 5)
    assert document.place(("a", 0, "c"), key=True) == (3, 5)
    assert Document("", {}).place(("a",)) == (0, 0)


def test_what_does_not_stand_there_is_none() -> None:
    document = parse("a: [{b: 1}]\n", "f")
    assert [document.at(path) for path in [("a", 0, "b"), ("a", 1), ("a", "b"), ("c",), ("a", 0, "b", "c")]] == [
        1,
        None,
        None,
        None,
        None,
    ]


COMMA = "has no value: write one; inside {…} and […] a comma ends a value, so text with commas needs quotes"
PLAIN = "Look at quotes, colons and indentation here and in the line above"

MISTAKES = {
    "unquoted template": (
        "a: {{ x }}\n",
        ['f:1:4: a: a text that begins with `{{` needs quotes. Write: `a: "{{ x }}"`'],
    ),
    "unquoted template that goes on": (
        "b: 1\npath: {{ run.id }}.jsonl  # where\n",
        ['f:2:7: path: a text that begins with `{{` needs quotes. Write: `path: "{{ run.id }}.jsonl"  # where`'],
    ),
    "unquoted template with quotes inside": (
        "a: {{ x['b'] ~ \"c\" }}\n",
        ["f:1:4: a text that begins with `{{` needs quotes. Write: `a: '{{ x[''b''] ~ \"c\" }}'`"],
    ),
    "unquoted template in a flow mapping": (
        "p: {path: {{ run.id }}, b: 3}\n",
        ['f:1:11: p.path: a text that begins with `{{` needs quotes. Write: `p: {path: "{{ run.id }}", b: 3}`'],
    ),
    "unquoted template in a list": (
        "- {{ a }}\n- b\n",
        ['f:1:3: [0]: a text that begins with `{{` needs quotes. Write: `- "{{ a }}"`'],
    ),
    "unquoted reference in a flow mapping": (
        "p: {a: ${X}, b: 1}\n",
        ['f:1:8: inside {…} and […] a text with `${` needs quotes. Write: `p: {a: "${X}", b: 1}`'],
    ),
    "unquoted star alone": (
        "status: *\n",
        ['f:1:9: a text that begins with `*` needs quotes. Write: `status: "*"`'],
    ),
    "unquoted star in a list": (
        "p: [a, *.png]\n",
        ['f:1:8: a text that begins with `*` needs quotes. Write: `p: [a, "*.png"]`'],
    ),
    "star that looks like an alias": (
        "p: *name\n",
        ['f:1:4: p: a text that begins with `*` needs quotes. Write: `p: "*name"`'],
    ),
    "two stars in one line": (
        "p: {a: *x, b: *y}\n",
        [
            'f:1:8: p.a: a text that begins with `*` needs quotes. Write: `p: {a: "*x", b: *y}`',
            'f:1:15: p.b: a text that begins with `*` needs quotes. Write: `p: {a: *x, b: "*y"}`',
        ],
    ),
    "unquoted exclamation mark": (
        "p: !FAILED\nq: 1\n",
        ['f:1:4: p: a text that begins with `!` needs quotes. Write: `p: "!FAILED"`'],
    ),
    "tag on a structure": (
        "p: !!map\n  a: 1\n",
        ['f:1:4: p: a text that begins with `!` needs quotes. Write: `p: "!!map"`'],
    ),
    "tag above its value": (
        "p:\n  !!str\n  a\n",
        ["f:2:3: p: tags, anchors and aliases are not taken here"],
    ),
    "anchor": (
        "p: &x 1\n",
        ['f:1:4: p: a text that begins with `&` needs quotes. Write: `p: "&x 1"`'],
    ),
    "anchored key": ("&x p: 1\n", ["f:1:1: p: a key must be text: put `p` in quotes"]),
    "at sign": ("p: @x\n", ['f:1:4: a text that begins with `@` needs quotes. Write: `p: "@x"`']),
    "percent sign": ("p: %x\n", ['f:1:4: a text that begins with `%` needs quotes. Write: `p: "%x"`']),
    "text that goes on after its quote": (
        'p: "x"-y\n',
        ["f:1:4: a text that goes on after its closing quote needs quotes around all of it. Write: `p: '\"x\"-y'`"],
    ),
    "a colon in a text": (
        "p: b: c\n",
        ['f:1:4: a text with a colon in it needs quotes. Write: `p: "b: c"`'],
    ),
    "a colon at the end of a text": (
        "p: b:\n",
        ['f:1:4: a text with a colon in it needs quotes. Write: `p: "b:"`'],
    ),
    "deeper than its neighbours": (
        "a: 1\n  b: 2\n",
        ["f:2:3: this line is indented deeper than its neighbours, or the line above lacks its `:`"],
    ),
    "less deep than its neighbours": (
        "a:\n  - b\n c: 1\n",
        [f"f:3:2: this is not YAML: did not find expected key. {PLAIN}"],
    ),
    "tab": (
        "a:\n\tb: 1\n",
        ["f:2:1: YAML is indented with spaces, never with a tab. Write: `  b: 1`"],
    ),
    "open quote": (
        "a: 'x\nb: 1\n",
        ["f:3:1: this is not YAML: the quote opened in line 1 is never closed"],
    ),
    "backslash in double quotes": (
        'a: "C:\\data"\n',
        ["f:1:7: inside double quotes a backslash begins an escape: use single quotes, or write the backslash twice"],
    ),
    "open bracket": (
        "a: [1\nb: 2\n",
        [
            "f:2:2: this is not YAML: the bracket opened in line 1 is not closed as it should be; "
            "inside it a text with any of `,[]{}` needs quotes"
        ],
    ),
    "brackets in a text in brackets": (
        "a: {where: x in ['b'], c: 3}\n",
        [
            "f:1:12: inside {…} and […] a text with any of `,[]{}` needs quotes. "
            "Write: `a: {where: \"x in ['b']\", c: 3}`"
        ],
    ),
    "bracket in a text that is not closed": (
        "a: {b: c [d}\n",
        [
            "f:1:10: this is not YAML: the bracket opened in line 1 is not closed as it should be; "
            "inside it a text with any of `,[]{}` needs quotes"
        ],
    ),
    "bracket that is not closed": (
        "a: [b, c\nd: e\n",
        [
            "f:2:2: this is not YAML: the bracket opened in line 1 is not closed as it should be; "
            "inside it a text with any of `,[]{}` needs quotes"
        ],
    ),
    "duplicate key": ("a: 1\nb:\n  a: 2\na: 3\n", ["f:4:1: a: the key `a` stands here twice; first in line 1"]),
    "key that is a number": ("1: 2\n", ["f:1:1: 1: a key must be text: put `1` in quotes"]),
    "key that is a list": ("? [a]\n: 1\n", ["f:1:1: a key must be text"]),
    "no value": ("a:\nb: 1\n", ["f:1:3: a: has no value: write one, or leave the key out"]),
    "no value after a comma": ("a: {b: x, y}\n", [f"f:1:12: a.y: {COMMA}"]),
    "null": ("a: ~\n", ["f:1:4: a: `~` is no value here: leave the key out"]),
    "no number": ("a: .nan\n", ["f:1:4: a: not a number that can be used here"]),
    "a number beyond all measure": ("a: " + "9" * 5000, ["f:1:4: a: not a number that can be used here"]),
    "a float beyond all measure": ("a: 1e999", ["f:1:4: a: not a number that can be used here"]),
    "a second document": (
        "a: 1\n---\nb: 2\n",
        ["f:2:1: a file holds one document: remove this `---` or what follows it"],
    ),
    "nothing": ("", ["f: the file is empty: `runrelay init` writes one to start from"]),
    "only a comment": ("# soon\n", ["f: the file is empty: `runrelay init` writes one to start from"]),
    "nested without end": ("a: " + "[" * 100_000, ["f:1:36: nested deeper than 32 levels"]),
    "a control character": ("a: 1\nb: \x07\n", ["f:2:4: the character U+0007 cannot stand in YAML: remove it"]),
    "several at once": (
        "a: ~\na: *b\nc: @\n",
        [
            "f:1:4: a: `~` is no value here: leave the key out",
            "f:2:1: a: the key `a` stands here twice; first in line 1",
            'f:2:4: a: a text that begins with `*` needs quotes. Write: `a: "*b"`',
            'f:3:4: a text that begins with `@` needs quotes. Write: `c: "@"`',
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_yaml_is_told_with_the_line_as_it_should_be(text: str, expected: list[str]) -> None:
    assert told(text) == expected


def test_signs_inside_quotes_blocks_and_comments_are_no_mistakes() -> None:
    text = (
        "a: \"{{ x }} *b !c @d\"\nb: '{{ it''s }}'\nc: |\n  {{ x }}: *y\n  a, b\n"
        "d: x  # {{ y }} *z\ne: ${X}\nf: a*b!c\n"
    )
    document = parse(text, "f")
    assert document.problems == ()
    assert document.value == {
        "a": "{{ x }} *b !c @d",
        "b": "{{ it's }}",
        "c": "{{ x }}: *y\na, b\n",
        "d": "x",
        "e": "${X}",
        "f": "a*b!c",
    }


@given(st.text(alphabet="ab:{}[]$*!&@'\"#,|>-? \n\t%`~1.é", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        problems = parse(text, "f").problems
    except ConfigInvalid as exc:
        problems = exc.problems
        assert problems
    assert all(problem.line > 0 and problem.column > 0 for problem in problems if "empty" not in problem.message)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    def refusal(name: str, raw: bytes | None = None) -> str:
        if raw is not None:
            (tmp_path / name).write_bytes(raw)
        with pytest.raises(ConfigInvalid) as caught:
            read(tmp_path / name)
        return str(caught.value).replace(f"{tmp_path}/", "")

    absent = "there is no such file: `runrelay init` writes one to start from, `--config` names another"
    (tmp_path / "folder").mkdir()
    assert refusal("absent") == f"absent: {absent}"
    assert refusal("folder") == "folder: the file cannot be read: Is a directory"
    assert (
        refusal("latin", b"a: 1\nb: \xe9t\xe9\n") == "latin:2:4: the file is not UTF-8 from here on: save it as UTF-8"
    )
    assert refusal("big", b"#" * (1024**2 + 1)) == "big: the file is larger than 1 MiB, which no routes file should be"


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "marked"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read(path)
    assert document.value == {"a": 1, "b": 2}
    assert document.keys == {("a",): (1, 1), ("b",): (2, 1)}
