"""Mistakes that YAML makes easy, with the line as it should have been.

Each is about text that YAML takes for its own signs because nobody put it in quotes.
"""

import re
from collections.abc import Sequence

import yaml

#: a quoted text, whole: nothing inside it can be a trap
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""")
_BLOCK_VALUE = re.compile(r"^\s*(?:- +)*(?:[\w.-]+: +)?")
#: a text that begins without a quote and goes on with a bracket: an expression, with a list or arguments in it
_BRACKETED = re.compile(r"(?<=: ) *(?P<text>[^\s,\[\]{}#&*!|>@%`$\"'][^,\[\]{}#]*[\[(])")
_SIGNS = re.compile(r"(?:(?<=: )|(?<=- )|(?<=, )|(?<=[\[,{])) *(?P<sign>\{\{|\$\{|[*!&@`%|>]|Q+ *[^\sQ,\]}:#])")
_CONDITION = re.compile(r"(?P<key>.*\bwhere: *)\{\{ *(?P<text>.*?) *\}\}(?P<rest>.*)")
_WHY = {
    "{{": "a text that begins with `{{` needs quotes",
    "${": "inside {…} and […] a text with `${` needs quotes",
    "Q": "a text that goes on after its closing quote needs quotes around all of it",
}


def explain(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[int, int, str]:
    """Where a text stops being YAML, and what to do about it: line and column (1-based), and a message."""
    mark = error.problem_mark or error.context_mark
    last = mark.line if mark else 0
    first = error.context_mark.line if error.context_mark else last
    for number in range(min(last, len(lines) - 1), min(first, last) - 1, -1):
        line = lines[number]
        found = _indented_with_tab(line) or _bracketed(line) or _unquoted(line) or _second_colon(line, error)
        if found:
            column, message = found
            return number + 1, column + 1, message
    return last + 1, (mark.column if mark else 0) + 1, _plain(error)


def quote(place: tuple[int, int], lines: Sequence[str]) -> str | None:
    """The message for a text at `place` that needs quotes; None if the line shows no such text there."""
    line, column = lines[place[0] - 1], place[1] - 1
    for match in _SIGNS.finditer(_masked(line)):
        if match.start("sign") == column:
            return _quoted(line, match)
    return None


def _masked(line: str) -> str:
    """The line with every quoted text replaced by as many Q, and a comment by blanks."""
    masked = _QUOTED.sub(lambda match: "Q" * len(match[0]), line.replace("Q", "q"))
    code = re.split(r"(?:^|\s)#", masked, maxsplit=1)[0]
    return code.ljust(len(line))


def _indented_with_tab(line: str) -> tuple[int, str] | None:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" not in indent:
        return None
    corrected = line.replace("\t", "  ").rstrip()
    return indent.index("\t"), f"YAML is indented with spaces, never with a tab. Write: `{corrected}`"


def _bracketed(line: str) -> tuple[int, str] | None:
    masked = _masked(line)
    for match in _BRACKETED.finditer(masked):
        start = match.start("text")
        end = _end(masked, start, "[{(", ")]}")
        text = masked[start:end]
        closed = all(text.count(opened) == text.count(closer) for opened, closer in ("[]", "()", "{}"))
        if closed and re.search(r"[\[{]", masked[:start]) and re.search(r"[\[,{]", text):
            why = "inside {…} and […] a text with any of `,[]{}` needs quotes"
            return start, f"{why}. Write: `{_with_quotes(line, start, end)}`"
    return None


def _unquoted(line: str) -> tuple[int, str] | None:
    match = _SIGNS.search(_masked(line))
    return (match.start("sign"), _quoted(line, match)) if match else None


def _quoted(line: str, match: re.Match[str]) -> str:
    start, sign = match.start("sign"), match["sign"]
    if sign == "{{" and (bare := _CONDITION.match(line)):
        corrected = f"{bare['key']}{bare['text']}{bare['rest']}".strip()
        return f"a condition is written without {{{{ }}}}. Write: `{corrected}`"
    end = _end(_masked(line), start)
    why = _WHY.get(sign) or _WHY.get(sign[0]) or f"a text that begins with `{sign}` needs quotes"
    return f"{why}. Write: `{_with_quotes(line, start, end)}`"


def _second_colon(line: str, error: yaml.MarkedYAMLError) -> tuple[int, str] | None:
    if "mapping values are not allowed" not in (error.problem or ""):
        return None
    masked, match = _masked(line).rstrip(), _BLOCK_VALUE.match(line)
    start = match.end() if match else 0
    if ": " not in masked[start:] and not masked[start:].endswith(":"):
        indent = len(line) - len(line.lstrip())
        return indent, "this line is indented deeper than its neighbours, or the line above lacks its `:`"
    return start, f"a text with a colon in it needs quotes. Write: `{_with_quotes(line, start, len(masked))}`"


def _end(masked: str, start: int, opening: str = "[{", closing: str = "]}") -> int:
    """Where the text that starts at `start` ends: before the comma or bracket that closes it, or at the line's end."""
    flow = bool(re.search(r"[\[{]", masked[:start]))
    depth = 0
    for index in range(start, len(masked)):
        char = masked[index]
        if flow and depth == 0 and char in ",]}":
            return start + len(masked[start:index].rstrip())
        depth += (char in opening) - (char in closing)
    return len(masked.rstrip())


def _with_quotes(line: str, start: int, end: int) -> str:
    text = line[start:end]
    plain = not re.search(r'["\\]', text)
    quoted = f'"{text}"' if plain else "'{}'".format(text.replace("'", "''"))
    return (line[:start] + quoted + line[end:]).strip()


def _plain(error: yaml.MarkedYAMLError) -> str:
    problem, context = error.problem or "", error.context or ""
    opened = error.context_mark.line + 1 if error.context_mark else 0
    if "escape" in problem:
        return "inside double quotes a backslash begins an escape: use single quotes, or write the backslash twice"
    if "quoted scalar" in context and "unexpected" in problem:
        return f"this is not YAML: the quote opened in line {opened} is never closed"
    if "flow" in context:
        advice = "inside it a text with any of `,[]{}` needs quotes"
        return f"this is not YAML: the bracket opened in line {opened} is not closed as it should be; {advice}"
    return f"this is not YAML: {problem}. Look at quotes, colons and indentation here and in the line above"
