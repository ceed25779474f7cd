"""`make live URL=… TOKEN=… ACCOUNT=…`: prints a line for each check, `ok` or what was seen."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from live.chatwoot import Desk, Refused
from live.checks import Check, commands, contacts, files, outages, talking, telegram
from live.scene import CannotBegin, Events, Options, Scene, open_scene
from live.waiting import Wrong
from sandbox.running_gateway import NotStarted

AT_ONCE = 6
"""Checks that run beside each other; each has customers of its own."""
BESIDE_EACH_OTHER = (
    *commands.CHECKS,
    *talking.CHECKS,
    *telegram.CHECKS,
    *files.CHECKS,
    *contacts.CHECKS,
)
ONE_BY_ONE = outages.CHECKS


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check. `seen` is empty if all was well."""

    name: str
    seen: str
    seconds: float


@click.command()
@click.argument("url")
@click.argument("token")
@click.argument("account", type=int)
@click.option(
    "--events",
    type=click.Choice(("websocket", "webhook")),
    default="websocket",
    show_default=True,
    help="How the gateway learns of replies; webhooks need a Chatwoot that reaches this machine.",
)
@click.option("--yes", is_flag=True, help="Go on although the account has conversations.")
def main(url: str, token: str, account: int, events: Events, yes: bool) -> None:
    """Check this gateway against the Chatwoot at URL, with an administrator's TOKEN.

    Everything that it makes in the ACCOUNT is taken away again; use an account without
    conversations.
    """
    options = Options(url, token, account, events)
    try:
        if not yes:
            _require_empty(options)
        with tempfile.TemporaryDirectory(prefix="gateway-live-") as folder:
            results = list(_run(options, Path(folder)))
    except (CannotBegin, NotStarted, Refused) as error:
        click.echo(f"live: {error}", err=True)
        sys.exit(2)
    wrong = sum(bool(each.seen) for each in results)
    click.echo(f"{len(results) - wrong} of {len(results)} ok")
    sys.exit(bool(wrong))


def _require_empty(options: Options) -> None:
    desk = Desk(options.url, options.account, options.token)
    count = desk.count_conversations()
    desk.close()
    if count:
        raise CannotBegin(
            f"account {options.account} has conversations ({count}). Name an empty account, or add "
            "--yes to check in this one: what others have in it stays untouched."
        )


def _run(options: Options, folder: Path) -> Iterator[Result]:
    with open_scene(options, folder) as scene:
        click.echo(f"Chatwoot {scene.desk.version()} at {options.url}, events by {options.events}")
        for result in _results(scene):
            click.echo(_line(result))
            yield result


def _results(scene: Scene) -> Iterator[Result]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda check: _look(check, scene), _visible(BESIDE_EACH_OTHER, scene))
    for check in _visible(ONE_BY_ONE, scene):
        yield _look(check, scene)


def _visible(checks: Iterable[Check], scene: Scene) -> list[Check]:
    return [check for check in checks if scene.options.events in check.ways]


def _look(check: Check, scene: Scene) -> Result:
    began, seen = time.monotonic(), ""
    try:
        check.look(scene)
    except (Wrong, Refused, NotStarted) as error:
        seen = str(error)
    except (LookupError, TypeError, ValueError) as error:  # an answer of another shape
        seen = f"an answer of another shape: {type(error).__name__}: {error}"
    return Result(check.name, seen, time.monotonic() - began)


def _line(result: Result) -> str:
    if result.seen:
        return f"WRONG {result.name}: {result.seen}"
    return f"ok    {result.name} ({result.seconds:.1f} s)"


if __name__ == "__main__":
    main()
