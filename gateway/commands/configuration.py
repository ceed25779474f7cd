"""`check`, `channels` and `token`: what the settings say, without starting anything."""

from __future__ import annotations

import contextlib
import os
import sys

from gateway.commands.printing import print_problems, print_table
from gateway.commands.settings import load_settings
from gateway.config import ConfigError, Problem
from gateway.config.env_file import env_file_beside
from gateway.config.sentinels import are_sentinels
from gateway.processes.launch import environment_problems
from gateway.runtime import Runtime
from gateway.setup.checks.sentinels import look_at_sentinels
from gateway.storage.durability import look_at
from gateway.storage.embedded import data_folder

HEADINGS = ("channel", "adapter", "inbox", "webhook", "webhook of the Chatwoot inbox (secret)")


def check() -> int:
    """Returns 1 if anything is wrong with the settings or with Redis."""
    wrong = environment_problems(os.environ)
    try:
        settings = load_settings()
    except ConfigError as error:
        print_problems((*error.problems, *wrong), sys.stdout)
        return 1
    problems, notes = _look_at_redis(settings.gateway.redis_url)
    problems = (*problems, *wrong)
    if env_file_beside(settings.path).is_open_to_others:
        notes = (*notes, "Other users of this machine can read .env: run `chmod 600 .env`.")
    if problems:
        print_problems(problems, sys.stdout)
    else:
        count, names = len(settings.channels), ", ".join(settings.channels)
        plural = "" if count == 1 else "s"
        print(f"{settings.path.name} is fine: {count} channel{plural} ({names}).")
        for account in settings.accounts.values():
            if account.events == "websocket":
                print(f"chatwoot.{account.name}: the gateway listens to Chatwoot's event stream.")
    for note in notes:
        print(f"Note: {note}")
    return 1 if problems else 0


def list_channels() -> None:
    """Print each channel with the addresses to enter elsewhere. Raises `ConfigError`."""
    settings = load_settings()
    rows = []
    for channel in settings.channels.values():
        adapter = channel.adapter(channel.config, settings.site(channel, Runtime()))
        with contextlib.closing(adapter):
            webhook = settings.webhook_url(channel) if adapter.takes_webhooks else "-"
        inbox = f"{channel.account.name}/{channel.config.inbox}"
        kind = channel.config.adapter
        called = settings.chatwoot_url(channel) if channel.is_called_by_chatwoot else "-"
        rows.append((channel.name, kind, inbox, webhook, called))
    print_table(HEADINGS, rows)


def print_token() -> None:
    """Raises `ConfigError`."""
    print(load_settings().admin_token)


def _look_at_redis(url: str) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Problems and notes."""
    if not url:
        where = data_folder().absolute()
        return (), (
            "Neither REDIS_URL nor REDIS_SENTINELS is set: `run` starts an embedded server that "
            f"keeps its data in {where}.",
        )
    found = look_at(url)
    notes = found.notes
    if are_sentinels(url) and not found.problems:
        notes += tuple(
            f"{finding.text[0].upper()}{finding.text[1:]}. {finding.cure}"
            for finding in look_at_sentinels(url)
        )
    return found.problems, notes
