"""A sink that fails while it is loaded."""

TAKES = frozenset({1 // 0})
