"""Not a plugin: what begins with `_` is nobody's type."""
