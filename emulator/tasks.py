"""Tasks: an Actor with an input and options of its own (Apify API, "Actor tasks")."""

import sqlite3
from typing import Annotated, Any

import msgspec

from emulator.access import Account
from emulator.documents import Document, Documents, shown
from emulator.errors import ApiError, invalid_input, not_found
from emulator.manifest import Megabytes
from emulator.programs import Program, Programs
from emulator.runs import of_task
from emulator.stamps import new_id, stamp

Seconds = Annotated[int, msgspec.Meta(ge=0)]


class TaskOptions(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a task asks of its runs; None leaves it to the Actor."""

    build: str | None = None
    timeout_secs: Seconds | None = None
    memory_mbytes: Megabytes | None = None
    max_items: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_total_charge_usd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    restart_on_error: bool | None = None


class TaskBody(msgspec.Struct, rename="camel"):
    """The body of a task's `POST` and `PUT`; fields the emulator has no use for are ignored."""

    act_id: str | None = None
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$")] | None = None
    title: str | None = None
    input: dict[str, Any] | None = None
    options: TaskOptions | None = None


class Tasks:
    """All tasks. A name is unique within its account."""

    def __init__(self, documents: Documents, programs: Programs) -> None:
        self._documents, self._programs = documents, programs

    def create(self, given: TaskBody, account: Account) -> Document:
        """A new task. Raises: ApiError 404 if there is no such Actor, 409 if the name is taken."""
        id_, now = new_id(), stamp()
        task: Document = {
            "id": id_,
            "userId": account.id,
            "username": account.username,
            "actId": self._actor(given.act_id).id,
            "name": given.name or f"task-{id_}",
            "title": given.title,
            "createdAt": now,
            "modifiedAt": now,
            "options": msgspec.to_builtins(given.options or TaskOptions()),
            "input": given.input,
        }
        try:
            self._documents.put("task", task, created=now, owner=account.id, name=_full_name(task))
        except sqlite3.IntegrityError:
            raise _taken(task["name"]) from None
        return task

    def get(self, key: str) -> Document:
        """A task by id, `username~name` or `username/name`. Raises: ApiError 404."""
        by_name = key.replace("/", "~", 1)
        if task := self._documents.get("task", key) or self._documents.named("task", by_name):
            return task
        raise not_found("Actor task")

    def program(self, task: Document) -> Program:
        """The Actor of the task. Raises: ApiError 404 if it is gone."""
        return self._actor(task["actId"])

    def update(self, task: Document, given: TaskBody, fields: Document) -> Document:
        """Change what the body (`fields`) names. Raises: ApiError 409 if the name is taken."""
        changes = msgspec.to_builtins(given)
        task |= {name: changes[name] for name in _EDITABLE if name in fields}
        task["options"], task["name"] = task["options"] or {}, task["name"] or f"task-{task['id']}"
        try:
            self._documents.rename("task", task["id"], _full_name(task))
        except sqlite3.IntegrityError:
            raise _taken(task["name"]) from None
        self.save(task)
        return task

    def save(self, task: Document) -> None:
        """Keep a changed task."""
        task["modifiedAt"] = stamp()
        self._documents.save("task", task)

    def delete(self, task: Document) -> None:
        """Forget a task; its runs stay."""
        self._documents.delete("task", task["id"])

    def present(self, task: Document) -> Document:
        """A task as the API shows it."""
        return {**shown(task), "stats": {"totalRuns": self._documents.count("run", of_task(task))}}

    def short(self, task: Document) -> Document:
        """A task as lists show it."""
        program = self._programs.find(task["actId"])
        view = {name: value for name, value in self.present(task).items() if name not in {"input", "options", "title"}}
        return view | {"actName": program and program.manifest.name, "actUsername": program and program.owner}

    def _actor(self, key: str | None) -> Program:
        if program := self._programs.find(key or ""):
            return program
        raise ApiError(404, "actor-not-found", "Actor was not found.")


def overlaid(task: Document, body: bytes, content_type: str) -> tuple[bytes, str]:
    """The input of a task's run: the fields of a JSON body over those of the task; any other body takes its place.

    Raises: ApiError 400 if a JSON body is no object.
    """
    if body and content_type.partition(";")[0].strip().lower() != "application/json":
        return body, content_type
    try:
        given = msgspec.json.decode(body or b"null", type=dict[str, Any] | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_input("Input is not valid: The input JSON must be an object.") from None
    if given is None and task["input"] is None:
        return b"", content_type
    return msgspec.json.encode({**(task["input"] or {}), **(given or {})}), "application/json; charset=utf-8"


_EDITABLE = ("name", "title", "input", "options")


def _full_name(task: Document) -> str:
    return f"{task['username']}~{task['name']}"


def _taken(name: str) -> ApiError:
    return ApiError(409, "actor-task-name-not-unique", f'A task with the name "{name}" already exists.')
