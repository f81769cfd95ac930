"""What tasks put out: files at addresses, and analyses, which may stand in the task itself.

A task has `outputs[]` (`docs/webhooks`) or one `output` (`api/create-task`); a job has one more, an address
(`api/get-job`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.sources.ittybit.statuses import SUCCESS
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
        address = "".join(said.split()) if isinstance(said, str) else ""
        return address if _ADDRESS.match(address) else ""

    @property
    def is_analysis(self) -> bool:
        """Whether it is data: it stands in the task, or it is a JSON file."""
        if not self.url:
            return not _is_file(self.said)
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
        told = {name: value for name, value in said.items() if name != "url" and name not in own}
        return {**own, "kind": self.kind, **told}


def outputs(work: Work) -> Iterator[Output]:
    """In the order of the tasks. An address comes once."""
    seen = set[str]()
    for task in (*work.tasks, *_job(work)):
        for output in _of(task):
            if not output.url or output.url not in seen:
                seen.add(output.url)
                yield output


def require_addresses(work: Work) -> None:
    """Raises Permanent (source_refused) if work that came to its own end put out a file that lies nowhere: what nobody
    can read must not count as delivered."""
    if work.fields.get("status") not in SUCCESS:
        return
    for task in (*work.tasks, *_job(work)):
        for place, said in _places(task):
            if said is None or (_is_file(said) and not Output("", "", 0, True, said).url):
                raise Permanent(
                    Reason.SOURCE_REFUSED,
                    f"`{place}` of the task {str(task.get('id') or '')!a} names no address that its file lies at: ask "
                    "the platform, then `runrelay retry`",
                )


def within_reach(url: str) -> bool:
    """Whether HTTP can fetch it. What went to a bucket of the project's own may be told as `s3://`
    (`docs/connections`)."""
    return url.lower().startswith(("http://", "https://"))


def _of(task: Fields) -> list[Output]:
    found = [said for _, said in _places(task) if said is not None]
    ident, kind = str(task.get("id") or ""), str(task.get("kind") or "")
    return [Output(ident, kind, number, len(found) == 1, said) for number, said in enumerate(found)]


def _places(task: Fields) -> Iterator[tuple[str, Any]]:
    """What it put out, each with its place in the task. `output` is null where there is none (`api/create-task`)."""
    for name in ("outputs", "output"):
        said = task.get(name)
        if isinstance(said, list):
            yield from ((f"{name}.{number}", one) for number, one in enumerate(said))
        elif said is not None:
            yield name, said


def _is_file(said: Any) -> bool:
    """Rather than data. Only a file has an address that is a text."""
    return isinstance(said, dict) and (said.get("object") == "file" or isinstance(said.get("url"), str))


def _job(work: Work) -> list[Fields]:
    """The work itself, which may have put something out beside its tasks."""
    return [] if any(task is work.fields for task in work.tasks) else [work.fields]
