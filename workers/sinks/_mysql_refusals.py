"""Why the server refuses a row, in words of our own: its own quote what the item holds, which belongs in no log."""

import re
from collections.abc import Collection

from pymysql.err import Error

from workers.sinks._mysql_session import code_of, numbered

#: How a text of the server ends that names a column, an index or a constraint; what is quoted stands before it.
_COLUMN = re.compile(r"(?:^Column|^Field| column) (?:[`'][^`']*[`']\.)*[`'](?:[^`'.]*\.)*([^`'.]+)[`'][^`']*$")
_DEFAULT = re.compile(r"^Field '([^`']+)' doesn't have a default value$")
_INDEX = re.compile(r" for key [`'](?:[^`'.]*\.)*([^`'.]+)[`']$")
_CHECK = re.compile(r"^(?:CONSTRAINT|Check constraint) [`']([^`']+)[`'] ")
_FOREIGN = re.compile(r" CONSTRAINT `([^`]+)` FOREIGN KEY ")

_TAKEN = "the column {} does not take its value", _COLUMN
#: What is said of an error, and where its text has the name. "Server Error Message Reference" of either server.
_SAID: dict[int, tuple[str, re.Pattern[str]]] = {
    1048: ("it has no value for the column {}, which takes no null", _COLUMN),
    1062: ("it is a duplicate for the index {}", _INDEX),
    1264: ("its number is out of range for the column {}", _COLUMN),
    **dict.fromkeys((1265, 1292, 1366, 3140), _TAKEN),
    1364: ("it has no value for the column {}, which has no default", _DEFAULT),
    1406: ("it is too long for the column {}", _COLUMN),
    1452: ("it refers to a row that is not there, by the foreign key {}", _FOREIGN),
    3819: ("it breaks the check constraint {}", _CHECK),
    4025: ("it breaks the check constraint {}", _CHECK),
}
_PLAIN = {
    1118: "it is too large for a row of the table",
    1216: "it refers to a row that is not there, by a foreign key",
    1526: "the table has no partition for it",
    1644: "a trigger of the table refuses it",
    1690: "its number is out of range",
    1748: "the table has no partition for it",
}


def why(exc: Error, columns: Collection[str]) -> str:
    """What is wrong with a row, without any value of it: what looks like the name of a column has to be one."""
    code, told = code_of(exc), str(exc.args[-1])
    if code in _PLAIN:
        return _PLAIN[code]
    if code not in _SAID:
        return f"the table does not take one of its values: {numbered(code)}"
    said, where = _SAID[code]
    found = where.search(told)
    named = found is not None and (where is not _COLUMN or found[1] in columns)
    return said.format(found[1] if found and named else "…")
