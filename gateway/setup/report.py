"""Findings as a person reads them, with colours on a terminal, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from gateway.adapter import Finding, Verdict

_LABELS: Final = {
    Verdict.GOOD: ("ok", "green"),
    Verdict.CHANGED: ("changed", "cyan"),
    Verdict.NOTE: ("note", "yellow"),
    Verdict.BAD: ("BAD", "bold red"),
}
_INDENT: Final = " " * 11


@dataclass(frozen=True, slots=True)
class Line:
    """A finding, and what it is about: `redis`, `chatwoot.main`, `channels.my-bot`."""

    subject: str
    finding: Finding

    @property
    def is_bad(self) -> bool:
        return self.finding.verdict is Verdict.BAD


def lines_about(subject: str, findings: Iterable[Finding]) -> Iterable[Line]:
    return (Line(subject, finding) for finding in findings)


class Paper:
    """Where a command writes what it has to say. Colours only if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def show(self, lines: Sequence[Line]) -> None:
        """All lines under the name of what they are about, each cure below its trouble."""
        for subject in dict.fromkeys(line.subject for line in lines):
            self.say(subject, "bold")
            for line in lines:
                if line.subject == subject:
                    self._show(line.finding)

    def _show(self, finding: Finding) -> None:
        label, style = _LABELS[finding.verdict]
        self._console.print(
            Text.assemble("  ", (f"{label:<9}", style), f"{finding.check}: {finding.text}")
        )
        if finding.cure:
            self.say(f"{_INDENT}→ {finding.cure}")


def as_json(lines: Sequence[Line]) -> str:
    """`ok`: nothing is bad. Each finding has subject, check, verdict, text and cure."""
    findings = [
        {
            "subject": line.subject,
            "check": line.finding.check,
            "verdict": line.finding.verdict.value,
            "text": line.finding.text,
            "cure": line.finding.cure,
        }
        for line in lines
    ]
    ok = not any(line.is_bad for line in lines)
    return json.dumps({"ok": ok, "findings": findings}, indent=2, ensure_ascii=False)
