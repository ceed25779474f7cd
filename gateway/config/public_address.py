"""Who has to reach the gateway: with nobody it needs no public address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from gateway.adapter import Site
from gateway.config.values import Channel, ChatwootAccount
from gateway.runtime import Runtime


def callers(accounts: Iterable[ChatwootAccount], channels: Iterable[Channel]) -> Iterator[str]:
    """What calls the gateway: a sentence for each, with the way to do without, if there is one."""
    for account in accounts:
        if account.events == "webhook":
            yield (f'Chatwoot calls it, unless [chatwoot.{account.name}] has events = "websocket".')
    for channel in channels:
        if _takes_webhooks(channel):
            yield f"The network of [channels.{channel.name}] calls it."


def _takes_webhooks(channel: Channel) -> bool:
    site = Site(channel.name, webhook_url="", secret="", runtime=Runtime())
    with contextlib.closing(channel.adapter(channel.config, site)) as adapter:
        return adapter.takes_webhooks
