"""Checks a channel's inbox in Chatwoot."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.adapter import Finding
from gateway.chatwoot.admin import API_INBOX
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.values import Inbox
from gateway.config import Channel, Settings
from gateway.setup.checks.signing import look_at_signing

SET_UP = "Run `python -m gateway setup`."


def look_at_inbox(settings: Settings, channel: Channel, chatwoot: Chatwoot) -> Iterator[Finding]:
    """Raises a `DeliveryError` if Chatwoot does not answer."""
    number = channel.config.inbox
    try:
        inbox = chatwoot.inbox(number)
    except Missing:
        cure = f"Run `python -m gateway setup`, or correct [channels.{channel.name}] inbox."
        yield Finding.bad("inbox", f"inbox {number} does not exist in the account", cure)
        return
    if inbox.channel_type != API_INBOX:
        text = f"inbox {number} «{inbox.name}» is a {inbox.channel_type}, not an API inbox"
        cure = 'Write inbox = "NAME" for a new one, and run `python -m gateway setup`.'
        yield Finding.bad("inbox", text, cure)
        return
    yield Finding.good("inbox", f"«{inbox.name}» exists, number {number}")
    if channel.is_called_by_chatwoot:
        yield _webhook(settings, channel, inbox)
        yield look_at_signing(channel, inbox.secret)
    else:
        yield _no_webhook(settings, channel, inbox)
    if chatwoot.admin.members(number):
        yield Finding.good("agents", "the inbox has agents")
    else:
        text = "the inbox has no agents: only administrators see its conversations"
        yield Finding.bad("agents", text, SET_UP)


def is_ours(settings: Settings, channel: Channel, webhook_url: str) -> bool:
    """Whether an inbox's webhook address is one of the channel's, at whatever public address."""
    return any(
        webhook_url.endswith(f"/chatwoot/{channel.name}/{token}")
        for token in settings.path_tokens(channel)
    )


def _no_webhook(settings: Settings, channel: Channel, inbox: Inbox) -> Finding:
    """The webhook of an inbox whose events come by the event stream."""
    if is_ours(settings, channel, inbox.webhook_url):
        text = "the inbox still calls this gateway: messages turn red whenever it does not answer"
        return Finding.note("webhook", text, SET_UP)
    return Finding.good("webhook", "not needed: the gateway listens to the event stream")


def _webhook(settings: Settings, channel: Channel, inbox: Inbox) -> Finding:
    """The address is not shown: it may contain somebody's secret."""
    address = settings.chatwoot_url(channel)
    base, _, _ = address.rpartition("/")
    given = inbox.webhook_url
    if given == address:
        return Finding.good("webhook", "the inbox calls this gateway")
    if given in {f"{base}/{token}" for token in settings.path_tokens(channel)}:
        text = "the inbox calls this gateway, with the old secret"
        return Finding.note("webhook", text, f"{SET_UP} Then remove the old secret.")
    if not given:
        text = "the inbox has no webhook address: no reply reaches us"
        return Finding.bad("webhook", text, SET_UP)
    host = urlsplit(given).netloc.rpartition("@")[2]
    what = "with a wrong secret" if given.startswith(base + "/") else f"at another address ({host})"
    return Finding.bad("webhook", f"the inbox calls {what}: no reply reaches us", SET_UP)
