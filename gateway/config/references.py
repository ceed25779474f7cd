"""Replaces `${NAME}` in the texts of channels.toml by the environment's value, so that secrets
stay in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.config.lines import Path

_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[^}]*)\}|\$\{")
_WITHOUT_BRACES = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"[….]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Expansion:
    """The result of expanding the references of a document."""

    missing: list[tuple[Path, str, str]] = field(default_factory=list)
    """Where, what is wrong, and the cure. Such a key is absent from the document."""
    values: dict[str, str] = field(default_factory=dict)
    """Every value that came from the environment → the reference that it replaced."""


class _Unresolved(Exception):
    """A reference that cannot be replaced: what is wrong, and the cure."""


def expand(
    document: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], Expansion]:
    """`document` with every reference replaced; `$$` stands for a dollar sign."""
    expansion = Expansion()
    return _table(document, (), environ, expansion), expansion


def _table(
    table: Mapping[str, Any], path: Path, environ: Mapping[str, str], expansion: Expansion
) -> dict[str, Any]:
    replaced = {}
    for key, value in table.items():
        here = (*path, key)
        try:
            replaced[key] = _value(value, here, environ, expansion)
        except _Unresolved as problem:
            wrong, cure = problem.args
            expansion.missing.append((here, wrong, cure))
    return replaced


def _value(value: Any, path: Path, environ: Mapping[str, str], expansion: Expansion) -> Any:
    if isinstance(value, dict):
        return _table(value, path, environ, expansion)
    if isinstance(value, list):
        return [_value(item, path, environ, expansion) for item in value]
    if isinstance(value, str):
        if _WITHOUT_BRACES.fullmatch(value):
            raise _Unresolved(
                f"is {value}, without braces",
                f"Write ${{{value[1:]}}}, or ${value} if that is the text itself.",
            )
        return _REFERENCE.sub(lambda match: _replacement(match, environ, expansion), value)
    return value


def _replacement(match: re.Match[str], environ: Mapping[str, str], expansion: Expansion) -> str:
    if match.group() == "$$":
        return "$"
    name = match.group("name")
    if name is None or not _NAME.fullmatch(name):
        raise _Unresolved(
            "contains «${» without a variable name and a closing brace",
            "Write ${NAME}, or $${ for a literal ${.",
        )
    value = environ.get(name, "")
    if not value:
        state = "is empty" if name in environ else "is not set"
        raise _Unresolved(
            f"the environment variable {name} {state}",
            f"Write {name}=… in the file .env beside the settings, or export it.",
        )
    _require_clean(name, value)
    expansion.values[value] = match.group()
    return value


def _require_clean(name: str, value: str) -> None:
    """No secret begins or ends with a blank; a copied one may."""
    if _PLACEHOLDER.fullmatch(value):
        raise _Unresolved(
            f"the environment variable {name} still has a placeholder, {value}",
            "Put the real value in its place.",
        )
    if value != value.strip():
        what = "a carriage return" if value.endswith("\r") else "a blank or line end"
        raise _Unresolved(
            f"the environment variable {name} begins or ends with {what}",
            "Remove it; save the file that it comes from with Unix line ends.",
        )
