"""Connects a gateway to the stand-ins, step by step as one connects it to the real ones."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings, load
from sandbox.chatwoot.inboxes import update_inbox
from sandbox.stand_ins import StandIns

INBOXES = {"telegram": "Telegram", "sms": "SMS", "email": "E-mail"}
"""Channel → the name of its API inbox in Chatwoot."""

TEMPLATE = """\
# Rewritten at every start of the sandbox. The secrets are in gateway.env beside it.

[gateway]
public_url = "{gateway}"
secret = "${{GATEWAY_SECRET}}"
# Far below the defaults, so that the outcome of a crash shows within seconds.
lease = 5
uncertain_after = 3

[chatwoot.main]
url = "{chatwoot}"
account = {account}
token = "${{CHATWOOT_TOKEN}}"

"""
CHANNELS = """\
[channels.telegram]
adapter = "telegram"
inbox = {telegram_inbox}
token = "${{TELEGRAM_TOKEN}}"
api_url = "{telegram}"

[channels.sms]
adapter = "twilio"
inbox = {sms_inbox}
account_sid = "{account_sid}"
auth_token = "${{TWILIO_AUTH_TOKEN}}"
sender = "{number}"
api_url = "{twilio}"

[channels.email]
adapter = "email"
inbox = {email_inbox}
address = "{address}"
name = "The Corner Shop"
password = "${{MAIL_PASSWORD}}"
imap_host = "{mail_host}"
imap_port = {imap_port}
imap_security = "plain"
smtp_host = "{mail_host}"
smtp_port = {smtp_port}
smtp_security = "plain"
"""
"""Of channels.toml: the three channels, each with a stand-in for its network."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the gateway is started with, and which inbox belongs to which channel."""

    config: Path
    environ: Mapping[str, str]
    settings: Settings
    inboxes: Mapping[str, int]

    def channel_of(self, inbox: int) -> str:
        """The channel of an inbox; empty for one that is not ours."""
        return next((name for name, number in self.inboxes.items() if number == inbox), "")


def wire(stand_ins: StandIns, folder: Path, gateway_url: str) -> Wiring:
    """Make the inboxes, write channels.toml, and tell Chatwoot and Twilio whom to call.

    Telegram is told by the gateway itself, when it connects. Raises OSError.
    """
    inboxes = {channel: _find_or_add_inbox(stand_ins, name) for channel, name in INBOXES.items()}
    environ = _write_secrets(stand_ins, folder / "gateway.env")
    config = folder / "channels.toml"
    config.write_text(_toml(stand_ins, inboxes, gateway_url), encoding="utf-8")
    settings = load(config, environ)
    for name, channel in settings.channels.items():
        _set_webhook(stand_ins, inboxes[name], settings.chatwoot_url(channel))
    stand_ins.twilio.sms_url = settings.webhook_url(settings.channels["sms"])
    return Wiring(config, environ, settings, inboxes)


def _find_or_add_inbox(stand_ins: StandIns, name: str) -> int:
    store = stand_ins.chatwoot.store
    with store.reading():
        known = [inbox.id for inbox in store.inboxes if inbox.name == name]
    return known[0] if known else stand_ins.chatwoot.add_inbox(name, None)


def _set_webhook(stand_ins: StandIns, inbox: int, url: str) -> None:
    store = stand_ins.chatwoot.store
    with store.changing():
        update_inbox(store, store.inboxes.get(inbox), {"channel": {"webhook_url": url}})


def _write_secrets(stand_ins: StandIns, path: Path) -> dict[str, str]:
    """The gateway's environment. Also written to a file, for running its commands by hand; the
    gateway's own secret is kept from run to run."""
    environ = {
        "GATEWAY_SECRET": _read_secret(path) or secrets.token_hex(32),
        "CHATWOOT_TOKEN": stand_ins.chatwoot.access_token,
        "TELEGRAM_TOKEN": stand_ins.telegram.token,
        "TWILIO_AUTH_TOKEN": stand_ins.twilio.auth_token,
        "MAIL_PASSWORD": stand_ins.mail.password,
    }
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environ.items())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(lines)
    return environ


def _read_secret(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    values = [line.partition("=")[2] for line in lines if line.startswith("GATEWAY_SECRET=")]
    return values[0] if values else ""


def _toml(stand_ins: StandIns, inboxes: Mapping[str, int], gateway_url: str) -> str:
    return (TEMPLATE + CHANNELS).format(
        gateway=gateway_url,
        chatwoot=stand_ins.chatwoot.url,
        account=stand_ins.chatwoot.account_id,
        telegram=stand_ins.telegram.url,
        twilio=stand_ins.twilio.url,
        account_sid=stand_ins.twilio.account_sid,
        number=stand_ins.twilio.number,
        address=stand_ins.mail.address,
        mail_host=stand_ins.mail.host,
        imap_port=stand_ins.mail.imap_port,
        smtp_port=stand_ins.mail.smtp_port,
        **{f"{channel}_inbox": number for channel, number in inboxes.items()},
    )
