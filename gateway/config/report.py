"""Collects problems, each with its line, in plain words, and without the value of a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config.lines import Path, line_of
from gateway.config.problems import Problem

SHORTEST_HIDDEN = 4
"""Characters. A shorter text cannot be a secret, and hiding it would garble sentences."""

PLAIN_WORDS = {
    "missing": "is missing",
    "string_type": "must be a text, in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be finite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_pattern_mismatch": "has the wrong form",
    "tuple_type": "must be a text, or a list of texts",
}


class Report:
    """The problems of one file."""

    def __init__(self, file: str, lines: dict[Path, int], references: Mapping[str, str]) -> None:
        self._file = file
        self._lines = lines
        self._references = references
        self._found: dict[Path, Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""
        return tuple(sorted(self._found.values(), key=lambda problem: problem.line or 0))

    def add(self, path: Path, wrong: str, cure: str) -> None:
        """Report a problem. Only the first about a key is kept, because others follow from it."""
        if any(path[:length] in self._found for length in range(1, len(path) + 1)):
            return
        line = line_of(self._lines, path)
        self._found[path] = Problem(
            self._file, line, ".".join(path), self._hide(wrong), self._hide(cure)
        )

    def environment(self, name: str, wrong: str, cure: str) -> None:
        """Report a problem of an environment variable."""
        self._found["environment", name] = Problem("environment", None, name, wrong, cure)

    def add_invalid(
        self, where: Path, model: type[BaseModel], values: Mapping[str, Any], error: ValidationError
    ) -> None:
        """Report everything that pydantic finds wrong with one table."""
        secrets = _secret_texts(model, values)
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            path = (*where, *(str(step) for step in detail["loc"] if isinstance(step, str)))
            wrong = _without(secrets, _plain(detail))
            field = _field(model, detail)
            about = f"{path[-1]} is {field.description}." if field and field.description else ""
            self.add(path, wrong, about or "See channels.example.toml.")

    def _hide(self, text: str) -> str:
        for value, reference in self._references.items():
            if len(value) >= SHORTEST_HIDDEN:
                text = text.replace(value, reference)
        return text


def _plain(detail: ErrorDetails) -> str:
    said = detail["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return PLAIN_WORDS.get(detail["type"], said)


def _field(model: type[BaseModel], detail: ErrorDetails) -> FieldInfo | None:
    """The innermost field, where tables are nested."""
    found: FieldInfo | None = None
    for step in detail["loc"]:
        known = {info.alias or name: info for name, info in model.model_fields.items()}
        if step not in known:
            break
        found = known[step]
        if not _is_table(found.annotation):
            break
        model = found.annotation
    return found


def _is_table(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _secret_texts(model: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    """The texts given for secret fields, perhaps written directly into the file."""
    texts = []
    for name, info in model.model_fields.items():
        value = values.get(info.alias or name)
        if isinstance(value, str) and _is_secret(info.annotation):
            texts.append(value)
    return texts


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(inner) for inner in get_args(annotation))


def _without(secrets: list[str], text: str) -> str:
    for secret in secrets:
        if len(secret) >= SHORTEST_HIDDEN:
            text = text.replace(secret, "…")
    return text
