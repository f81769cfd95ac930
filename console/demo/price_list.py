"""A price list on three days, as the scripted Actors `local/shop-monday`, `…-tuesday` and `…-wednesday` leave it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TEA, _CUP, _POT = (
    {"sku": "tea", "title": " Green tea "},
    {"sku": "cup", "title": "Cup"},
    {"sku": "pot", "title": "Pot"},
)
_JUNK = {"sku": "ad", "title": "Subscribe!"}
#: Day → what its run leaves in the dataset.
DAYS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "monday": [{**_TEA, "price": "4,90 €"}, _JUNK, {**_CUP, "price": "7.50"}, {**_POT, "price": 19}],
    "tuesday": [
        {**_TEA, "price": "4,90 €"},
        {**_CUP, "price": "6.90"},
        _JUNK,
        {"sku": "jug", "title": "Jug", "price": "EUR 12.00"},
    ],
    "wednesday": [{**_TEA, "price": "4,90 €"}],
}


def write_actors(folder: Path) -> None:
    """`local/shop-monday` and the others, an Actor a folder."""
    for day, items in DAYS.items():
        (folder / day).mkdir(parents=True)
        said = {"name": f"shop-{day}", "title": f"Price list of {day}", "script": {"items": items}}
        (folder / day / "actor.yaml").write_text(json.dumps(said), encoding="utf-8")
