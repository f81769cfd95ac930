"""Recipes as files, with values for their variables."""

from pathlib import Path

from console.recipes import recipe, variables


def environ(name: str) -> dict[str, str]:
    return {variable.name: variable.value or "a-token-0123456789" for variable in variables(name)}


def written(name: str, text: str | None = None) -> Path:
    path = Path("runrelay.yaml")
    path.write_text(recipe(name) if text is None else text, encoding="utf-8")
    return path
