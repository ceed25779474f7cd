"""The command line: `python -m gateway --help`.

What can be typed is described here; `gateway/commands/` carries it out. Each command imports what
it needs when it is called, so that no process pays for another one's modules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Literal

import click

from gateway import __version__

PROGRAM = "python -m gateway"
OTHER_END_CLOSED = 128 + 13
INTERRUPTED = 128 + 2


def main(arguments: Sequence[str]) -> int:
    """Carry out a command. Returns the exit status; what is wrong goes to stderr in plain words."""
    try:
        with gateway.make_context(PROGRAM, list(arguments)) as context:
            return gateway.invoke(context) or 0
    except click.exceptions.Exit as ended:  # --help
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # `| head` has read enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OTHER_END_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (a fault of the gateway is raised again)
        from gateway.commands.failures import print_failure

        print_failure(error)
        return 1


class InOrder(click.Group):
    """Lists its commands as they are declared."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="gateway")
def gateway() -> None:
    """Connects outside networks to Chatwoot.

    Reads channels.toml, or the file that GATEWAY_CONFIG names, and variables from .env beside it.
    """
    from gateway.commands.settings import config_path
    from gateway.config.env_file import env_file_beside

    env_file_beside(config_path()).apply(os.environ)


@gateway.command()
def run() -> None:
    """Start everything and keep it running."""
    from gateway.commands.roles import run_everything

    run_everything()


@gateway.command()
def web() -> None:
    """Receive webhooks (gunicorn)."""
    from gateway.commands.roles import run_web

    run_web()


@gateway.command()
def worker() -> None:
    """Deliver messages."""
    from gateway.commands.roles import run_worker

    run_worker()


@gateway.command()
def clock() -> None:
    """Poll networks, find lost replies and wake the workers."""
    from gateway.commands.roles import run_clock

    run_clock()


@gateway.command()
def check() -> int:
    """Check the configuration, and Redis if it is set."""
    from gateway.commands import configuration

    return configuration.check()


@gateway.command()
def channels() -> None:
    """List the channels and the webhook addresses to enter elsewhere."""
    from gateway.commands.configuration import list_channels

    list_channels()


@gateway.command()
def token() -> None:
    """Print the password of /health/backlog and /metrics."""
    from gateway.commands.configuration import print_token

    print_token()


@gateway.command()
@click.option(
    "--agents",
    default="",
    metavar="a@x,b@y",
    help="Who works in the inboxes (default: everybody, in an inbox that has nobody).",
)
@click.option(
    "--secrets",
    type=click.Choice(("hidden", "shown")),
    default="hidden",
    show_default=True,
    help="Whether to print keys too.",
)
def setup(agents: str, secrets: Literal["hidden", "shown"]) -> int:
    """Create inboxes and webhooks, and say what is left to do by hand."""
    from gateway.commands.settings import config_path
    from gateway.setup import commands

    return commands.setup(config_path(), os.environ, agents, secrets)


@gateway.command()
@click.option("--json", "shape", flag_value="json", default="text", help="Print JSON.")
def doctor(shape: Literal["text", "json"]) -> int:
    """Check everything the gateway depends on; name every cure."""
    from gateway.commands.settings import load_settings
    from gateway.setup import commands

    return commands.doctor(load_settings(), shape)


@gateway.command()
@click.argument("person", metavar="PERSON")
@click.option("--dry-run", "action", flag_value="show", default="erase", help="Show what there is.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME",
    help="On which channel PERSON is an address (default: on any).",
)
def erase(person: str, action: Literal["show", "erase"], channels: tuple[str, ...]) -> int:
    """Erase all that is stored of a person.

    PERSON is an address on a channel, a phone number, an e-mail address or an identifier.
    """
    from gateway.commands import erasing

    act = erasing.show if action == "show" else erasing.erase
    return act(person, channels)


@gateway.group(cls=InOrder)
def dead() -> None:
    """Look after the messages that were given up on."""


@dead.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many."
)
def list_dead(limit: int) -> None:
    """List the newest dead letters."""
    from gateway.commands.dead_letters import list_letters

    list_letters(limit)


@dead.command("show")
@click.argument("message", metavar="ID")
def show_dead(message: str) -> None:
    """Print all that is known of one dead letter."""
    from gateway.commands.dead_letters import show_letter

    show_letter(message)


@dead.command("replay")
@click.argument("messages", metavar="ID...", nargs=-1, required=True)
def replay_dead(messages: tuple[str, ...]) -> int:
    """Deliver dead letters after all."""
    from gateway.commands.dead_letters import replay_letters

    return replay_letters(messages)


@dead.command("drop")
@click.argument("messages", metavar="ID...", nargs=-1, required=True)
def drop_dead(messages: tuple[str, ...]) -> int:
    """Forget dead letters for good."""
    from gateway.commands.dead_letters import drop_letters

    return drop_letters(messages)
