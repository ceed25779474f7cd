"""Finds the line of each table and key in a TOML text: `tomllib` returns values without lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str, ...]

_TOKEN = re.compile(
    r'(?P<string>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')'
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<newline>\n)"
    r"|(?P<other>[^\"'\#\[\]{}\n]+)",
    re.DOTALL,
)


def locate(text: str) -> dict[Path, int]:
    """The line (from 1) of each table and key in `text`, which must be valid TOML.

    An inline table or array is found under the key that holds it.
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        if statement.startswith("["):
            table = _path(statement.strip().strip("[]"))
            _note(lines, (), table, number)
        else:
            _note(lines, table, _path(_left_side(statement)), number)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest enclosing table that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header and each assignment, without comments, with the line on which it starts."""
    number, start, depth, words = 1, 1, 0, ""
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token.group()
        if not words.strip():
            start = number
        if kind == "newline" and depth == 0:
            if words.strip():
                yield start, words.strip()
            words = ""
        elif kind != "comment":
            words += word
        depth += (kind == "open") - (kind == "close")
        number += word.count("\n")
    if words.strip():
        yield start, words.strip()


def _left_side(statement: str) -> str:
    """The text before the first `=` outside a quoted key."""
    quoted = r'"(?:\\.|[^"\\])*"|\'[^\']*\''
    match = re.match(rf"(?:{quoted}|[^=\"'])*", statement)
    return match.group() if match else ""


def _path(key: str) -> Path:
    """A dotted key, which may contain quotes, as its names. The TOML parser splits it."""
    value: object = tomllib.loads(f"{key} = 0")
    names: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(name)
    return tuple(names)


def _note(lines: dict[Path, int], table: Path, key: Path, number: int) -> None:
    for length in range(1, len(key) + 1):
        lines.setdefault((*table, *key[:length]), number)
