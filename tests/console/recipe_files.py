"""Recipes as files, with values for their variables."""

from pathlib import Path

from console.recipes import recipe, variables

#: What somebody fills in. It is a key of Standard Webhooks, too.
SECRET = "whsec_YS10b2tlbi0wMTIzNDU2Nzg5"
#: Where that is not what it is.
_OTHERS = {"GITHUB_REPOSITORY": "octo-org/octo-repo"}


def environ(name: str) -> dict[str, str]:
    return {variable.name: variable.value or _OTHERS.get(variable.name, SECRET) for variable in variables(name)}


def written(name: str, text: str | None = None) -> Path:
    path = Path("runrelay.yaml")
    path.write_text(recipe(name) if text is None else text, encoding="utf-8")
    return path
