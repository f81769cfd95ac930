"""One thing wrong with a configuration, where it is, and what would be right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person has to mend.

    Attributes:
        message: what is wrong and what would be right, one or two sentences.
        file: name of the file as the user gave it; empty for the environment.
        line, column: 1-based position; 0 when there is none.
        path: the key, such as `routes[0].to[1].sink`; empty for the whole file.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)
