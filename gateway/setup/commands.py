"""`setup` and `doctor`, from what was typed to the exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gateway.adapter import Verdict
from gateway.config import Settings
from gateway.config.env_file import NAME, env_file_beside
from gateway.observability.logs import Redactor
from gateway.runtime import Runtime
from gateway.setup.doctor import examine
from gateway.setup.provision import Outcome, load_unnumbered, set_up
from gateway.setup.report import Output, ReportLine, as_json
from gateway.storage.embedded import data_folder, embedded_in

Visibility = Literal["hidden", "shown"]


def setup(path: Path, environ: Mapping[str, str], agents: str, secrets: Visibility) -> int:
    """Set up, and print what was done and what is left to do. Returns 1 if anything is bad.

    `agents`: e-mail addresses, separated by commas. `secrets`: whether to print the keys that
    belong in the environment.

    Raises `ConfigError`.
    """
    settings, names = load_unnumbered(path, environ)
    emails = tuple(email.strip() for email in agents.split(",") if email.strip())
    outcome = set_up(settings, names, emails, Runtime())
    outcome.lines = redacted(outcome.lines, settings)
    written = _write_variables(outcome, settings)
    _print_outcome(outcome, settings, secrets)
    if written:
        Output(sys.stdout).print(f"\nWritten to {NAME}: {', '.join(written)}.")
    return int(any(line.is_bad for line in outcome.lines))


def doctor(settings: Settings, shape: Literal["text", "json"]) -> int:
    """Look at everything, at the embedded server if no other Redis is set. Returns 1 if anything
    is bad."""
    embedded = embedded_in(data_folder())
    url = settings.gateway.redis_url or (embedded.url if embedded.socket.exists() else "")
    lines = redacted(examine(settings, url, Runtime()), settings)
    output = Output(sys.stdout)
    if shape == "json":
        output.print(as_json(lines))
    else:
        output.print_lines(lines)
        output.print("\n" + _doctor_summary(lines))
    return int(any(line.is_bad for line in lines))


def redacted(lines: Iterable[ReportLine], settings: Settings) -> list[ReportLine]:
    """The same without secrets: a reason may quote the other side's words."""
    redact = Redactor(settings.secret_values())
    return [
        ReportLine(
            line.subject,
            replace(line.finding, text=redact(line.finding.text), cure=redact(line.finding.cure)),
        )
        for line in lines
    ]


def _print_outcome(outcome: Outcome, settings: Settings, secrets: Visibility) -> None:
    output = Output(sys.stdout)
    output.print_lines(outcome.lines)
    if outcome.settings_to_paste:
        output.print(f"\nWrite in {settings.path.name}:\n", "bold")
        output.print("\n".join(outcome.settings_to_paste))
    if outcome.variables_to_set:
        hint = " (--secrets shown prints the values)" if secrets == "hidden" else ""
        output.print(f"\nSet in the environment{hint}:\n", "bold")
        for name, value in outcome.variables_to_set.items():
            output.print(f"{name}={value.get_secret_value() if secrets == 'shown' else '…'}")
    if outcome.addresses_to_enter:
        output.print("\nEnter at the network, as the address for incoming messages:\n", "bold")
        output.print("\n".join(outcome.addresses_to_enter))
    bad = sum(line.is_bad for line in outcome.lines)
    changed = sum(line.finding.verdict is Verdict.CHANGED for line in outcome.lines)
    output.print("\n" + _setup_summary(bad, changed))


def _write_variables(outcome: Outcome, settings: Settings) -> tuple[str, ...]:
    """Put the keys into `.env`, where that is used and has no such names yet; the rest is left to
    the user. Returns the names written."""
    file = env_file_beside(settings.path)
    if not file.exists:
        return ()
    values = {name: key.get_secret_value() for name, key in outcome.variables_to_set.items()}
    written = file.append(values)
    for name in written:
        del outcome.variables_to_set[name]
    return written


def _setup_summary(bad: int, changed: int) -> str:
    did = f"{changed} changed." if changed else "Nothing to change."
    return f"{did} {bad} to fix." if bad else did


def _doctor_summary(lines: list[ReportLine]) -> str:
    bad = sum(line.is_bad for line in lines)
    if bad:
        return f"{bad} to fix."
    notes = sum(line.finding.verdict is Verdict.NOTE for line in lines)
    return f"Nothing to fix; see the notes ({notes})." if notes else "All is well."
