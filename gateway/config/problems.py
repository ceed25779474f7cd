"""What is wrong with a configuration, in the words of whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. Never contains the value of a secret."""

    file: str
    """The file's name, or «environment»."""
    line: int | None
    key: str
    """The key as it is written in the file, with its table: `channels.my-bot.token`."""
    wrong: str
    cure: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = f"{self.key}: " if self.key else ""
        return f"{place}: {subject}{self.wrong}\n    {self.cure}"


class ConfigError(Exception):
    """The configuration cannot be used. Carries everything that is wrong with it, not only
    the first thing."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
