"""Not a sink: two parts are missing."""

from pydantic import BaseModel


class Config(BaseModel):
    pass


TAKES = frozenset({"items"})
