"""The two commands, from what was typed to the exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gateway.adapter import Verdict
from gateway.config import Settings
from gateway.observability.logs import Redactor
from gateway.runtime import Runtime
from gateway.setup.doctor import examine
from gateway.setup.provision import Outcome, load_unnumbered, set_up
from gateway.setup.report import Line, Paper, as_json
from gateway.storage.embedded import data_folder, embedded_in

Visibility = Literal["hidden", "shown"]


def setup(path: Path, environ: Mapping[str, str], agents: str, secrets: Visibility) -> int:
    """`agents`: e-mail addresses with commas between them. `secrets`: whether the keys that are to
    be put into the environment are printed. Returns the exit status.

    Raises `ConfigError`.
    """
    settings, names = load_unnumbered(path, environ)
    emails = tuple(email.strip() for email in agents.split(",") if email.strip())
    outcome = set_up(settings, names, emails, Runtime())
    outcome.lines = redacted(outcome.lines, settings)
    _print_outcome(outcome, settings, secrets)
    return int(any(line.is_bad for line in outcome.lines))


def doctor(settings: Settings, shape: Literal["text", "json"]) -> int:
    """Look at everything, at the embedded server if no other Redis is set. Returns 1 if anything
    is bad."""
    embedded = embedded_in(data_folder())
    url = settings.gateway.redis_url or (embedded.url if embedded.socket.exists() else "")
    lines = redacted(examine(settings, url, Runtime()), settings)
    paper = Paper(sys.stdout)
    if shape == "json":
        paper.say(as_json(lines))
    else:
        paper.show(lines)
        paper.say("\n" + _verdict(lines))
    return int(any(line.is_bad for line in lines))


def redacted(lines: Iterable[Line], settings: Settings) -> list[Line]:
    """The same without secrets: a reason may quote what the other side said."""
    redact = Redactor(settings.secret_values())
    return [
        Line(
            line.subject,
            replace(line.finding, text=redact(line.finding.text), cure=redact(line.finding.cure)),
        )
        for line in lines
    ]


def _print_outcome(outcome: Outcome, settings: Settings, secrets: Visibility) -> None:
    paper = Paper(sys.stdout)
    paper.show(outcome.lines)
    if outcome.settings_to_paste:
        paper.say(f"\nWrite in {settings.path.name}:\n", "bold")
        paper.say("\n".join(outcome.settings_to_paste))
    if outcome.variables_to_set:
        hint = " (--secrets shown prints the values)" if secrets == "hidden" else ""
        paper.say(f"\nSet in the environment{hint}:\n", "bold")
        for name, value in outcome.variables_to_set.items():
            paper.say(f"{name}={value.get_secret_value() if secrets == 'shown' else '…'}")
    if outcome.addresses_to_enter:
        paper.say("\nEnter at the network, as the address for incoming messages:\n", "bold")
        paper.say("\n".join(outcome.addresses_to_enter))
    bad = sum(line.is_bad for line in outcome.lines)
    changed = sum(line.finding.verdict is Verdict.CHANGED for line in outcome.lines)
    paper.say("\n" + _summary(bad, changed))


def _summary(bad: int, changed: int) -> str:
    did = f"{changed} changed." if changed else "Nothing had to be changed."
    return f"{did} {bad} to be mended." if bad else did


def _verdict(lines: list[Line]) -> str:
    bad = sum(line.is_bad for line in lines)
    return f"{bad} to be mended." if bad else "All is well."
