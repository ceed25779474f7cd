"""The file `.env` beside channels.toml: variables for whoever does not set them in another way."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config.problems import ConfigError, Problem

NAME: Final = ".env"
OTHERS: Final = 0o077
"""The permissions of everybody but the owner."""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """`.env` in the folder of a settings file; it need not exist."""

    path: Path

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    @property
    def is_open_to_others(self) -> bool:
        """Whether other users of this machine can read or change it."""
        return self.exists and bool(self.path.stat().st_mode & OTHERS)

    def read(self) -> dict[str, str]:
        """Name → value; empty without a file. Raises `ConfigError`."""
        if not self.exists:
            return {}
        try:
            # Lines may end as on Windows: a carriage return is never part of a value.
            text = self.path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError) as error:
            cure = "Save it as UTF-8 text that you may read."
            problem = Problem(NAME, None, "", f"cannot be read: {type(error).__name__}", cure)
            raise ConfigError([problem]) from error
        problems: list[Problem] = []
        values = dict(self._assignments(text, problems))
        if problems:
            raise ConfigError(problems)
        return values

    def apply(self, environ: MutableMapping[str, str]) -> None:
        """Set what the environment does not set itself. Raises `ConfigError`."""
        for name, value in self.read().items():
            environ.setdefault(name, value)

    def append(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Write those names that are not there, and close the file to others; nothing that is
        there is changed. Returns the names written. Raises OSError, `ConfigError`."""
        known = self.read()
        new = {name: value for name, value in values.items() if name not in known}
        if new:
            text = self.path.read_text(encoding="utf-8-sig")
            begin = "" if not text or text.endswith("\n") else "\n"
            lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in new.items())
            with self.path.open("a", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(begin + lines)
        return tuple(new)

    def _assignments(self, text: str, problems: list[Problem]) -> Iterator[tuple[str, str]]:
        """The lines, read as a shell would (`set -a; . ./.env`), without replacing anything."""
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                words = ["", ""]
            words = words[1:] if words[:1] == ["export"] else words
            if not words:
                continue
            name, separator, value = words[0].partition("=")
            if len(words) == 1 and separator and name.isidentifier():
                yield name, value
            else:
                cure = "Write NAME=value; put a value with spaces in single quotes."
                problems.append(Problem(NAME, number, "", "is not a variable", cure))


def env_file_beside(settings_file: Path) -> EnvFile:
    return EnvFile(settings_file.absolute().parent / NAME)
