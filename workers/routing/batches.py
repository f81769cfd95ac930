"""What a template knows of the items that go with one request, and the JSON that comes of it."""

from collections.abc import Collection
from typing import Any

import msgspec

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch

#: By what a request is made for, the names of what it carries.
OF = {"item": frozenset({"item"}), "batch": frozenset({"items", "batch"}), "run": frozenset[str]()}
NAMES = frozenset[str]().union(*OF.values())


def known(batch: Batch) -> dict[str, Any]:
    """`items`, each as it is stored, and `batch`, which says which they are."""
    items = [msgspec.Raw(item) for item in batch.items()]
    return {"items": items, "batch": {"index": batch.index, "offset": batch.offset, "count": len(items)}}


def no_others(roots: Collection[str], per: str) -> None:
    """Raises ValueError if a template mentions what another `per` carries."""
    if told := NAMES.intersection(roots) - OF[per]:
        raise ValueError(f"`{min(told)}` has no meaning with `per: {per}`")


def as_json(value: Any, option: str) -> bytes:
    """Raises Permanent (template_failed), naming the option the value was made of."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError) as exc:
        raise Permanent(Reason.TEMPLATE_FAILED, f"`{option}` cannot be written as JSON: {exc}") from None
