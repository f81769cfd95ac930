"""What tasks put out: files at addresses, and analyses, which may stand in the task itself.

A task has `outputs[]` (`docs/webhooks`) or one `output` (`api/create-task`); a job has one more, an address
(`api/get-job`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from config.sources.ittybit.works import Work

Fields = Mapping[str, Any]
#: A text that is an address, not one that mentions one.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+\Z")


@dataclass(frozen=True, slots=True)
class Output:
    """One element.

    Attributes:
        task: id of the task, or of the job.
        kind: what the task does, e.g. `video`; an open set.
        number: its place among the task's outputs.
        alone: whether the task has no other.
        said: the element, whatever it is.
    """

    task: str
    kind: str
    number: int
    alone: bool
    said: Any

    @property
    def url(self) -> str:
        """Where it lies; empty if it stands in the task."""
        if isinstance(self.said, str):
            return self.said if _ADDRESS.match(self.said) else ""
        said = self.said.get("url") if isinstance(self.said, dict) else None
        return "".join(said.split()) if isinstance(said, str) else ""

    @property
    def is_analysis(self) -> bool:
        """Whether it is data: it stands in the task, or it is a JSON file."""
        if not self.url:
            return not (isinstance(self.said, dict) and self.said.get("object") == "file")
        written = str(self.said.get("format", "")).lower() if isinstance(self.said, dict) else ""
        return within_reach(self.url) and (written == "json" or self.path.lower().endswith(".json"))

    @property
    def path(self) -> str:
        """Of its address; empty if that is none."""
        try:
            return unquote(urlsplit(self.url).path)
        except ValueError:
            return ""

    @property
    def about(self) -> dict[str, Any]:
        """What is said of it, and of its task."""
        said = self.said if isinstance(self.said, dict) else {}
        own = {"task_id": self.task, "task_kind": self.kind, "number": self.number}
        return {**own, "kind": self.kind, **{name: value for name, value in said.items() if name != "url"}, **own}


def outputs(work: Work) -> Iterator[Output]:
    """In the order of the tasks. An address comes once."""
    seen = set[str]()
    for task in (*work.tasks, *_job(work)):
        for output in _of(task):
            if not output.url or output.url not in seen:
                seen.add(output.url)
                yield output


def within_reach(url: str) -> bool:
    """Whether HTTP can fetch it. What went to a bucket of the project's own may be told as `s3://`
    (`docs/connections`)."""
    return url.lower().startswith(("http://", "https://"))


def _of(task: Fields) -> list[Output]:
    found = [said for said in (*_listed(task.get("outputs")), *_listed(task.get("output"))) if said is not None]
    ident, kind = str(task.get("id") or ""), str(task.get("kind") or "")
    return [Output(ident, kind, number, len(found) == 1, said) for number, said in enumerate(found)]


def _listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def _job(work: Work) -> list[Fields]:
    """The work itself, which may have put something out beside its tasks."""
    return [] if any(task is work.fields for task in work.tasks) else [work.fields]
