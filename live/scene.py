"""Where the checks take place: Chatwoot, the stand-ins of the networks, and the gateway."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config import load
from live.chatwoot import Desk
from live.people import Newcomers
from live.traces import Traces
from sandbox.mail import MailStandIn
from sandbox.page.devices.device import Device
from sandbox.page.devices.mail_program import MailProgram
from sandbox.page.devices.phone import Phone
from sandbox.page.devices.telegram_app import TelegramApp
from sandbox.ports import free_ports
from sandbox.running_gateway import RunningGateway
from sandbox.telegram import TelegramStandIn
from sandbox.twilio import TwilioStandIn
from sandbox.wiring import CHANNELS, Wiring

ROOT = Path(__file__).resolve().parents[1]
CHANNEL_NAMES = ("telegram", "sms", "email")
Events = Literal["webhook", "websocket"]

TEMPLATE = """\
[gateway]
public_url = "{gateway}"
secret = "${{GATEWAY_SECRET}}"
lease = 5
uncertain_after = 3

[chatwoot.main]
url = "{chatwoot}"
account = {account}
token = "${{CHATWOOT_TOKEN}}"
events = "{events}"
requests_per_minute = 0
messages_per_minute = 0

"""


class CannotBegin(Exception):
    """The checks cannot begin. The text says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which Chatwoot, and how the gateway learns of replies."""

    url: str
    token: str
    account: int
    events: Events = "websocket"


@dataclass(frozen=True, slots=True)
class Networks:
    """The outside networks, each a stand-in."""

    telegram: TelegramStandIn
    twilio: TwilioStandIn
    mail: MailStandIn

    def devices(self) -> dict[str, Device]:
        """Channel → what its customers have in their hands."""
        return {
            "telegram": TelegramApp(self.telegram),
            "sms": Phone(self.twilio),
            "email": MailProgram(self.mail),
        }


@dataclass(slots=True)
class Scene:
    """What a check may use. `setup_said`: what the two runs of `setup` printed."""

    options: Options
    folder: Path
    desk: Desk
    networks: Networks
    newcomers: Newcomers
    wiring: Wiring
    gateway: RunningGateway
    setup_said: tuple[str, str]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the gateway beside it."""
        return run_command(self.wiring.config, self.wiring.environ, self.folder, *words)

    def restart(self) -> None:
        """Start the gateway that was stopped. Raises `NotStarted`."""
        self.gateway = RunningGateway(self.wiring, self.folder, self._port)
        self.gateway.start()
        self.gateway.wait_until_ready()

    def stop(self) -> None:
        """Stop the gateway that runs now."""
        self.gateway.stop()

    @property
    def _port(self) -> int:
        return int(self.gateway.url.rpartition(":")[2])


@contextlib.contextmanager
def open_scene(options: Options, folder: Path) -> Iterator[Scene]:
    """Set everything up, and take all of it away again. Raises `CannotBegin`, OSError."""
    with contextlib.ExitStack() as stack:
        desk = Desk(options.url, options.account, options.token)
        stack.callback(desk.close)
        networks = Networks(
            stack.enter_context(TelegramStandIn(username="corner_shop_bot", push_delays=(0.1, 2))),
            stack.enter_context(TwilioStandIn()),
            stack.enter_context(MailStandIn()),
        )
        [port] = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        stack.enter_context(Traces(desk, url))
        wiring, printed = _wire(options, folder, url, networks)
        networks.twilio.sms_url = wiring.settings.webhook_url(wiring.settings.channels["sms"])
        gateway = RunningGateway(wiring, folder, port)
        newcomers = Newcomers(desk, networks.devices(), dict(wiring.inboxes))
        scene = Scene(options, folder, desk, networks, newcomers, wiring, gateway, printed)
        stack.callback(scene.stop)
        gateway.start()
        gateway.wait_until_ready()
        yield scene


def run_command(
    config: Path, environ: Mapping[str, str], folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """A command of the gateway, as one types it."""
    given = {"GATEWAY_CONFIG": str(config), "GATEWAY_DATA": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        env={**environ, **given, "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _wire(
    options: Options,
    folder: Path,
    gateway_url: str,
    networks: Networks,
) -> tuple[Wiring, tuple[str, str]]:
    """Write the settings, and run `setup` twice: what it says to write in is written in between."""
    run = secrets.token_hex(3)
    telegram, twilio, mail = networks.telegram, networks.twilio, networks.mail
    environ = {
        "GATEWAY_SECRET": secrets.token_hex(32),
        "CHATWOOT_TOKEN": options.token,
        "TELEGRAM_TOKEN": telegram.token,
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "MAIL_PASSWORD": mail.password,
    }
    config = folder / "channels.toml"
    config.write_text(
        (TEMPLATE + CHANNELS).format(
            gateway=gateway_url,
            chatwoot=options.url,
            account=options.account,
            events=options.events,
            telegram=telegram.url,
            twilio=twilio.url,
            account_sid=twilio.account_sid,
            number=twilio.number,
            address=mail.address,
            mail_host=mail.host,
            imap_port=mail.imap_port,
            smtp_port=mail.smtp_port,
            **{f"{name}_inbox": f'"live {run} {name}"' for name in CHANNEL_NAMES},
        ),
        encoding="utf-8",
    )
    first = run_command(config, environ, folder, "setup", "--secrets", "shown")
    _write_in(config, environ, first.stdout)
    second = run_command(config, environ, folder, "setup")
    try:
        settings = load(config, environ)
    except Exception as error:
        raise CannotBegin(f"setup did not succeed:\n{first.stdout}{first.stderr}") from error
    inboxes = {name: settings.channels[name].config.inbox for name in CHANNEL_NAMES}
    return Wiring(config, environ, settings, inboxes), (first.stdout, second.stdout)


def _write_in(config: Path, environ: dict[str, str], printed: str) -> None:
    """Do what setup asks for: the inboxes' numbers, and the keys of their webhooks."""
    text = config.read_text(encoding="utf-8")
    for name, lines in re.findall(r"^\[channels\.(\w+)\]\n((?:\w+ = .*\n?)+)", printed, re.M):
        for line in lines.splitlines():
            key = line.partition(" = ")[0]
            head, found, rest = text.partition(f"[channels.{name}]\n")
            block, gap, after = rest.partition("\n\n")
            kept = [each for each in block.splitlines() if not each.startswith(f"{key} = ")]
            text = head + found + "\n".join([*kept, line]) + gap + after
    config.write_text(text, encoding="utf-8")
    environ |= dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(\S+)$", printed, re.M))
