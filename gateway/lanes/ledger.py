"""What is known of replies: which parts have left, what became of them, what agents did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast
from uuid import uuid4

import redis

from gateway.lanes import keys, wire
from gateway.lanes.keys import MessageField
from gateway.lanes.lane import Lane
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import Entry
from gateway.model import Receipt

LEDGER_SECONDS: Final = 90 * 86400
"""How long a sent reply stays known, as in prelude/base.lua."""
TOMBSTONE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of messages, in their lanes and after.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def withdraw(self, message: str, delete: Entry, *, nonce: str = "") -> str:
        """An agent deleted a reply.

        «removed»: it will not be sent; «delete»: it has been, and `delete` stands behind it now;
        «tombstone»: it has not come yet, and will not be sent when it does; «duplicate».
        """
        answer: str = self._run(
            "withdraw",
            message,
            nonce or uuid4().hex,
            wire.storable(wire.item(delete)),
            TOMBSTONE_SECONDS,
        )
        return answer

    def forbid(self, message: str) -> None:
        """A reply must never be sent: the customer has it from elsewhere."""
        self.client.set(keys.tombstone(message), 1, ex=LEDGER_SECONDS)

    def check_retry(self, message: str, look: Entry, *, nonce: str = "") -> bool:
        """Perhaps an agent pressed Retry below a reply: `look` will ask Chatwoot.

        False if that cannot be: the reply is known, and did not fail.
        """
        item = wire.storable(wire.item(look))
        return bool(self._run("check_retry", message, nonce or uuid4().hex, item) == "ok")

    def is_failed(self, message: str) -> bool | None:
        """Whether a reply has failed, and may yet be sent again; None if it is not known."""
        names = [MessageField.STATE, MessageField.STATUS, MessageField.WITHDRAWN]
        found = self.client.hmget(keys.message(message), names)
        state, status, withdrawn = cast(list[str | None], found)
        return None if state is None else status == "failed" and not withdrawn

    def retry(self, message: str, body: str, *, nonce: str = "") -> bool:
        """An agent did press Retry: what failed of the reply is sent again.

        `body`: of the reply, from Chatwoot. False if the reply is not shown as failed any more.
        """
        return bool(self._run("retry", message, nonce or uuid4().hex, body) == "ok")

    def record_marked_failed(self, message: str) -> str:
        """Chatwoot shows a reply as failed.

        «noted»: not by our word, so what became of it is told again; «ours»; «unknown».
        """
        answer: str = self._run("record_marked_failed", message)
        return answer

    def restore(self, message: str, lane: Lane, destination: str) -> None:
        """Chatwoot shows a message as failed that is no reply to be sent: tell it in `lane`, by way
        of `destination`, that the message is «sent»."""
        told = {"channel": lane.channel, "lane": str(lane), "destination": destination}
        self._run("restore", message, wire.storable(told))

    def record_receipt(self, channel: str, receipt: Receipt) -> str:
        """What a network says became of a part: «noted», or «parked» until its id is known."""
        answer: str = self._run(
            "record_receipt",
            channel,
            receipt.external_id,
            receipt.part,
            receipt.status,
            receipt.reason,
        )
        return answer

    def reply_of(self, channel: str, external_id: str) -> str:
        """The id of the reply that the network knows by `external_id`; empty if none is known."""
        part = self.client.get(keys.external(channel, external_id))
        return str(part).rpartition("#")[0] if part else ""

    def conversation_of(self, message: str) -> str:
        """The conversation that a message is shown in; empty if that is not known (any more)."""
        fields = [MessageField.LANE, MessageField.CONVERSATION]
        found = self.client.hmget(keys.message(message), fields)
        lane, noted = cast(list[str | None], found)
        if noted or lane is None:
            return noted or ""
        known = Lane.read(lane)
        return known.key if known.direction == "out" else ""
