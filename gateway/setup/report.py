"""Findings as a person reads them, with colours on a terminal, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from gateway.adapter import Finding, Verdict
from gateway.errors import DeliveryError

_LABELS: Final = {
    Verdict.GOOD: ("ok", "green"),
    Verdict.CHANGED: ("changed", "cyan"),
    Verdict.NOTE: ("note", "yellow"),
    Verdict.BAD: ("BAD", "bold red"),
}
_INDENT: Final = " " * 11


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A finding and its subject: `redis`, `chatwoot.main`, `channels.my-bot`."""

    subject: str
    finding: Finding

    @property
    def is_bad(self) -> bool:
        return self.finding.verdict is Verdict.BAD


def report_failure(check: str, findings: Iterable[Finding], cure: str) -> Iterator[Finding]:
    """The findings; if Chatwoot fails in between, a bad one in place of the rest."""
    try:
        yield from findings
    except DeliveryError as error:
        yield Finding.bad(check, error.reason, cure)


def lines_about(subject: str, findings: Iterable[Finding]) -> Iterable[ReportLine]:
    return (ReportLine(subject, finding) for finding in findings)


class Output:
    """Where a command prints. In colour only on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def print_lines(self, lines: Sequence[ReportLine]) -> None:
        """All lines, grouped by subject, each cure below its fault."""
        for subject in dict.fromkeys(line.subject for line in lines):
            self.print(subject, "bold")
            for line in lines:
                if line.subject == subject:
                    self._print_finding(line.finding)

    def _print_finding(self, finding: Finding) -> None:
        label, style = _LABELS[finding.verdict]
        self._console.print(
            Text.assemble("  ", (f"{label:<9}", style), f"{finding.check}: {finding.text}")
        )
        if finding.cure:
            self.print(f"{_INDENT}→ {finding.cure}")


def as_json(lines: Sequence[ReportLine]) -> str:
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
