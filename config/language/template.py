"""Text of runrelay.yaml with values in it: `{{ run.id }}.jsonl`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.filled import put_into
from config.language.operators import MOST, why
from config.language.printed import Code, printed
from config.language.sandbox import UNFIT, One, Text, blanked, read_template, single

#: the names a template may begin with
ROOTS = frozenset(
    {
        *("run", "source", "actor", "task", "build", "schedule", "event"),
        *("record", "dataset", "route", "target", "items_read", "held"),
    }
)


class Template:
    """Text with `{{ … }}` in it, for instance `{{ run.id }}.jsonl`. Usable as a pydantic field; `str()` is its source.

    Raises ValueError if it cannot be understood, or begins with a name or uses a filter that does not exist. A subclass
    may know more `names`.
    """

    names: ClassVar[frozenset[str]] = ROOTS
    __slots__ = ("_single", "_text", "_tree", "roots", "source")

    def __init__(self, source: str, names: Collection[str] | None = None) -> None:
        self.source = source
        with put_into(source, braced=True):
            self._tree, self.roots = read_template(source, self.names if names is None else names)
        # Compiled when they are needed: most files are only checked.
        self._text: Text | None = None
        self._single: One | None = None

    @property
    def single(self) -> bool:
        """Whether it is one `{{ … }}` and nothing else: `value` then keeps its type."""
        return single(self._tree) is not None

    def render(self, scope: Mapping[str, Any], show: Callable[[Any], str] = printed) -> str:
        """The text for one run. What is missing below a root name prints nothing, and so does null.

        show: prints a value, and may escape it; it is not asked for the text around values.

        Raises Permanent(template_failed) if values do not fit, or more than `MOST` characters come out.
        """
        pieces: list[str] = []
        room = MOST
        with self._fitting():
            self._text = self._text or Text(self._tree, self.roots)
            for piece in self._text.pieces(scope, show):
                room -= len(piece)
                if room < 0:
                    raise Permanent(Reason.TEMPLATE_FAILED, f"{self._short()} prints more than {MOST} characters")
                pieces.append(piece)
        return "".join(pieces)

    def value(self, scope: Mapping[str, Any]) -> Any:
        """What `{{ … }}` stands for, with its type, if the template is nothing else; what is missing is null.
        Otherwise the text, as `render` has it, and with its errors."""
        expression = single(self._tree)
        if expression is None:
            return self.render(scope)
        with self._fitting():
            self._single = self._single or One(expression, self.roots)
            value = self._single.value(scope)
            return str(value) if isinstance(value, Code) else value

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Values that do not fit what a template does with them."""
        try:
            yield
        except UNFIT as exc:
            raise Permanent(Reason.TEMPLATE_FAILED, f"{self._short()}: {why(exc)}") from None

    def _short(self) -> str:
        return _line(blanked(self.source))

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @classmethod
    def _of(cls, given: Any) -> Self:
        if isinstance(given, cls):
            return given
        if not isinstance(given, str):
            raise PydanticCustomError("template_type", "Input should be a template: text such as `{{ run.id }}.jsonl`")
        return cls(given)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._of,
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "jinja2"}


def shortened(expression: str) -> str:
    """On one line of 80 characters, without what is quoted in it: that may be a secret that was filled in."""
    return _line(blanked(f"{{{{{expression}\n}}}}")[2:-2])


def _line(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= 80 else f"{said[:79]}…"
