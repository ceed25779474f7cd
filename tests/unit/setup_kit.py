"""A whole small world for `setup` and `doctor`: real servers on loopback, and a settings file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway.cli import main
from sandbox.chatwoot import ChatwootStandIn
from sandbox.mail import MailStandIn
from sandbox.telegram import TelegramStandIn
from sandbox.twilio import TwilioStandIn
from sandbox.web import WebServer

SECRET = "a long enough secret for the tests"
TOML = """\
[gateway]
public_url = "{gateway}"
secret = ["{secret}", "an older secret, also long enough"]
[chatwoot.main]
events = "{events}"
url = "{chatwoot}"
account = {account}
token = "${{CHATWOOT_TOKEN}}"
[channels.bot]
adapter = "telegram"
inbox = {bot}
signing_secret = {bot_key}
token = "{telegram_token}"
api_url = "{telegram}"
[channels.sms]
adapter = "twilio"
inbox = {sms}
signing_secret = {sms_key}
account_sid = "{account_sid}"
auth_token = "{auth_token}"
sender = "+15550100001"
api_url = "{twilio}"
[channels.post]
adapter = "email"
inbox = {post}
signing_secret = {post_key}
address = "{address}"
password = "{password}"
imap_host = "127.0.0.1"
imap_port = {imap}
imap_security = "plain"
smtp_host = "127.0.0.1"
smtp_port = {smtp}
smtp_security = "plain"
"""
LINE = tuple[str, str]
"""Subject and check."""


@dataclass
class World:
    """What the tests act on. `values` are what stands in the settings file."""

    chatwoot: ChatwootStandIn
    telegram: TelegramStandIn
    twilio: TwilioStandIn
    mail: MailStandIn
    gateway: WebServer
    file: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    values: dict[str, Any] = field(default_factory=dict)
    front: str = "alive"
    """What `/healthz` says at the public address."""

    def write(self, **values: Any) -> None:
        self.values |= values
        self.file.write_text(TOML.format_map(self.values))
        self.monkeypatch.setenv("CHATWOOT_TOKEN", self.values["token"])

    def run(self, *command: str) -> tuple[int, str]:
        """The exit status and what was said."""
        status = main(command)
        said = self.capsys.readouterr()
        assert not said.err, said.err
        return status, said.out

    def finish(self) -> None:
        """Write down what a first `setup` said, as its user would."""
        with self.chatwoot.store.reading():
            keys = [f'"{inbox.secret}"' for inbox in self.chatwoot.store.inboxes]
            [contacts] = self.chatwoot.store.webhooks
            keys[0] = f'[{keys[0]}, "{contacts.secret}"]'
        self.twilio.sms_url = f"{self.gateway.url}/channels/sms/webhook"
        self.write(bot=1, sms=2, post=3, bot_key=keys[0], sms_key=keys[1], post_key=keys[2])

    def examined(self) -> dict[LINE, Mapping[str, str]]:
        status, said = self.run("doctor", "--json")
        told = json.loads(said)
        found = {(f["subject"], f["check"]): f for f in told["findings"]}
        assert len(found) == len(told["findings"]), "each line has a name of its own"
        bad = any(f["verdict"] == "bad" for f in found.values())
        assert (status, told["ok"]) == (int(bad), not bad)
        return found

    def red(self) -> set[LINE]:
        """The bad lines; each must have a cure."""
        found = self.examined()
        lines = {line for line, f in found.items() if f["verdict"] == "bad"}
        assert all(found[line]["cure"] for line in lines)
        return lines


@contextmanager
def small_world(
    folder: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str = "4.13.0",
) -> Iterator[World]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    with ExitStack() as running:
        chatwoot = running.enter_context(ChatwootStandIn(version=version))
        telegram = running.enter_context(TelegramStandIn())
        twilio = running.enter_context(TwilioStandIn())
        mail = running.enter_context(MailStandIn())
        front = Flask("gateway")
        gateway = WebServer(front)
        gateway.start()
        running.callback(gateway.stop)
        file = folder / "channels.toml"
        world = World(chatwoot, telegram, twilio, mail, gateway, file, monkeypatch, capsys)
        front.add_url_rule("/healthz", "healthz", lambda: world.front)
        world.write(
            gateway=gateway.url,
            secret=SECRET,
            events="webhook",
            chatwoot=chatwoot.url,
            account=1,
            token=chatwoot.access_token,
            bot='"Telegram"',
            sms='"SMS"',
            post='"Mail"',
            bot_key="[]",
            sms_key="[]",
            post_key="[]",
            telegram=telegram.url,
            telegram_token=telegram.token,
            twilio=twilio.url,
            account_sid=twilio.account_sid,
            auth_token=twilio.auth_token,
            address=mail.address,
            password=mail.password,
            imap=mail.imap_port,
            smtp=mail.smtp_port,
        )
        yield world
