"""Problems of a configuration, in the terms of its author."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix. Never contains the value of a secret."""

    file: str
    """The file name, or «environment»."""
    line: int | None
    key: str
    """The key as written in the file, with its table: `channels.my-bot.token`."""
    wrong: str
    cure: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = f"{self.key}: " if self.key else ""
        return f"{place}: {subject}{self.wrong}\n    {self.cure}"


class ConfigError(Exception):
    """The configuration cannot be used. Carries all of its problems, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
