"""The rules for agent bots (Chatwoot's agent_bot.rb)."""

from __future__ import annotations

from sandbox.chatwoot.inboxes import new_key
from sandbox.chatwoot.records import Bot
from sandbox.chatwoot.store import Store


def create_bot(store: Store, account_id: int, name: str, outgoing_url: str | None) -> Bot:
    return store.bots.add(
        name=name,
        account_id=account_id,
        token=new_key(),
        outgoing_url=outgoing_url,
        secret=new_key(),
    )
