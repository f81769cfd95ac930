"""A sink whose library is not installed."""

import a_library_nobody_installed  # type: ignore[import-not-found]  # that is what the test is about

TAKES = frozenset({a_library_nobody_installed})
