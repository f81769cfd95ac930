"""What people touch: the `runrelay` command."""

#: As in pyproject.toml, which an image does not carry; a test compares them.
VERSION = "0.1.0"
