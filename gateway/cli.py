"""The commands of `python -m gateway`; `--help` lists them."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO, TypeAlias

import redis
from rich.console import Console
from rich.table import Table

from gateway.config import ConfigError, Problem, Settings, load
from gateway.config.sentinels import are_sentinels
from gateway.lanes.dead_letters import DeadLetters
from gateway.observability import logs
from gateway.processes.launch import supervise, web_command
from gateway.processes.supervisor import CannotStart
from gateway.runtime import Runtime
from gateway.setup.checks.sentinels import doubts
from gateway.storage.connections import connect
from gateway.storage.durability import look_at
from gateway.storage.embedded import NoEmbeddedServer, data_folder, embedded_in

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

OTHER_END_CLOSED = 128 + 13
INTERRUPTED = 128 + 2


class CannotDo(Exception):
    """A command cannot be carried out. The text says why."""


def main(arguments: Sequence[str]) -> int:
    """Carry out a command. Returns the exit status; what is wrong goes to stderr in plain words."""
    chosen = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = chosen.command
    try:
        return command(chosen)
    except ConfigError as error:
        _print_problems(error.problems, sys.stderr)
    except (CannotDo, CannotStart, NoEmbeddedServer) as error:
        print(f"gateway: {error}.", file=sys.stderr)
    except redis.RedisError as error:
        print(f"gateway: Redis cannot be used: {type(error).__name__}.", file=sys.stderr)
    except BrokenPipeError:
        # `| head` has read enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OTHER_END_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


def config_path() -> Path:
    """`$GATEWAY_CONFIG`, or channels.toml in the current folder."""
    return Path(os.environ.get("GATEWAY_CONFIG") or "channels.toml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway",
        description="Joins outside networks to Chatwoot. Reads channels.toml, or the file that "
        "GATEWAY_CONFIG names.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command, text in (
        ("run", _run, "start everything, and keep it running"),
        ("web", _web, "take webhooks (gunicorn)"),
        ("worker", _worker, "deliver messages"),
        ("clock", _clock, "ask the networks that must be asked, and wake workers"),
        ("check", _check, "say what is wrong with the configuration"),
        ("channels", _channels, "list the channels and the addresses to paste into Chatwoot"),
        ("token", _token, "print what /health/backlog and /metrics ask for"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(command=command)
    _add_setup(commands)
    _add_dead(commands.add_parser("dead", help="messages that were given up on"))
    return parser


def _add_setup(commands: Commands) -> None:
    text = "make inboxes and webhooks, or say what remains to be done by hand"
    setup = commands.add_parser("setup", help=text, description=text)
    setup.add_argument(
        "--agents",
        default="",
        metavar="a@x,b@y",
        help="who works in the inboxes (everybody, in an inbox that has nobody)",
    )
    setup.add_argument(
        "--secrets", choices=("hidden", "shown"), default="hidden", help="print keys too (hidden)"
    )
    setup.set_defaults(command=_setup)
    text = "look at everything that the gateway depends on, and say what is wrong"
    doctor = commands.add_parser("doctor", help=text, description=text)
    doctor.add_argument(
        "--json", dest="shape", action="store_const", const="json", help="for programs"
    )
    doctor.set_defaults(command=_doctor, shape="text")


def _add_dead(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="the newest")
    listing.add_argument("--limit", type=int, default=100, help="how many (100)")
    listing.set_defaults(command=_dead_list)
    for name, command, text, many in (
        ("show", _dead_show, "all that is known of one", None),
        ("replay", _dead_replay, "deliver them after all", "+"),
        ("drop", _dead_drop, "forget them for good", "+"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("id", nargs=many)
        action.set_defaults(command=command)


def _settings() -> Settings:
    return load(config_path(), os.environ)


def _settings_with_redis() -> Settings:
    """As `_settings`; without REDIS_URL with the embedded server that `run` has started here."""
    settings = _settings()
    if settings.gateway.redis_url:
        return settings
    server = embedded_in(data_folder())
    if not server.socket.exists():
        raise CannotDo(
            "there is no Redis: set REDIS_URL or REDIS_SENTINELS, or start everything with "
            "`python -m gateway run`"
        )
    return replace(settings, gateway=settings.gateway.model_copy(update={"redis_url": server.url}))


def _run(_: argparse.Namespace) -> int:
    supervise(_settings(), config_path())
    return 0


def _web(_: argparse.Namespace) -> int:
    _settings_with_redis()
    command = web_command(os.environ)
    os.execv(command[0], command)  # noqa: S606 (no shell is wanted)


def _worker(_: argparse.Namespace) -> int:
    # Each command imports only its own role: a clock needs no worker's memory.
    from gateway import worker  # noqa: PLC0415

    settings = _settings_with_redis()
    logs.configure(settings, "worker")
    worker.main(settings)
    return 0


def _clock(_: argparse.Namespace) -> int:
    from gateway.clock import main  # noqa: PLC0415

    settings = _settings_with_redis()
    logs.configure(settings, "clock")
    main.main(settings)
    return 0


def _check(_: argparse.Namespace) -> int:
    try:
        settings = _settings()
    except ConfigError as error:
        _print_problems(error.problems, sys.stdout)
        return 1
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = (
        "REDIS_URL is not set, nor REDIS_SENTINELS: `run` starts an embedded server, with its "
        f"data in {data_folder().absolute()}.",
    )
    if settings.gateway.redis_url:
        findings = look_at(settings.gateway.redis_url)
        problems, notes = findings.problems, findings.notes
    if are_sentinels(settings.gateway.redis_url) and not problems:
        found = doubts(settings.gateway.redis_url)
        notes += tuple(f"{doubt.text[0].upper()}{doubt.text[1:]}. {doubt.cure}" for doubt in found)
    if problems:
        _print_problems(problems, sys.stdout)
    else:
        count = len(settings.channels)
        names = ", ".join(settings.channels)
        plural = "" if count == 1 else "s"
        print(f"{settings.path.name} is fine: {count} channel{plural} ({names}).")
    for note in notes:
        print(f"Note: {note}")
    return 1 if problems else 0


def _setup(chosen: argparse.Namespace) -> int:
    from gateway.setup import commands  # noqa: PLC0415

    return commands.setup(config_path(), os.environ, chosen.agents, chosen.secrets)


def _doctor(chosen: argparse.Namespace) -> int:
    from gateway.setup import commands  # noqa: PLC0415

    settings = _settings()
    embedded = embedded_in(data_folder())
    url = settings.gateway.redis_url or (embedded.url if embedded.socket.exists() else "")
    return commands.doctor(settings, url, chosen.shape)


def _channels(_: argparse.Namespace) -> int:
    settings = _settings()
    rows = []
    for channel in settings.channels.values():
        adapter = channel.adapter(channel.config, settings.site(channel, Runtime()))
        with contextlib.closing(adapter):
            webhook = settings.webhook_url(channel) if adapter.takes_webhooks else "-"
        inbox = f"{channel.account.name}/{channel.config.inbox}"
        kind = channel.config.adapter
        rows.append((channel.name, kind, inbox, webhook, settings.chatwoot_url(channel)))
    headings = ("channel", "adapter", "inbox", "webhook", "webhook of the Chatwoot inbox (secret)")
    _print_table(headings, rows)
    return 0


def _token(_: argparse.Namespace) -> int:
    print(_settings().admin_token)
    return 0


def _dead_letters() -> DeadLetters:
    url = _settings_with_redis().gateway.redis_url
    return DeadLetters(connect(url, connections=1, retries=1))


def _dead_list(chosen: argparse.Namespace) -> int:
    letters = _dead_letters().list(limit=chosen.limit)
    rows = [
        (letter.id, logs.moment(letter.at), letter.channel, letter.kind, letter.reason)
        for letter in letters
    ]
    _print_table(("id", "given up at", "channel", "kind", "reason"), rows)
    return 0


def _dead_show(chosen: argparse.Namespace) -> int:
    letter = _dead_letters().show(chosen.id)
    if letter is None:
        raise CannotDo(f"there is no dead letter {chosen.id}")
    print(f"id           {letter.id}")
    print(f"given up at  {logs.moment(letter.at)}")
    print(f"channel      {letter.channel}")
    print(f"kind         {letter.kind}")
    print(f"attempts     {letter.attempts}")
    print(f"reason       {letter.reason}")
    print(f"first error  {letter.first_error}")
    print(f"body         {letter.body}")
    return 0


def _dead_replay(chosen: argparse.Namespace) -> int:
    return _each(chosen.id, _dead_letters().replay, "will be delivered")


def _dead_drop(chosen: argparse.Namespace) -> int:
    return _each(chosen.id, _dead_letters().drop, "is forgotten")


def _each(ids: Sequence[str], action: Callable[[str], bool], done: str) -> int:
    status = 0
    for message in ids:
        if action(message):
            print(f"{message} {done}")
        else:
            print(f"gateway: there is no dead letter {message}.", file=sys.stderr)
            status = 1
    return status


def _print_problems(problems: Sequence[Problem], stream: TextIO) -> None:
    for problem in problems:
        print(problem, file=stream)
    count = len(problems)
    print(f"{count} problem{'' if count == 1 else 's'}. Nothing was started.", file=stream)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; otherwise lines with tabs, for other programs."""
    if not sys.stdout.isatty():
        for row in (headings, *rows):
            print("\t".join(row))
        return
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    Console().print(table, soft_wrap=True)
