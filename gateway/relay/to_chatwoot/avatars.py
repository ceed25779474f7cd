"""Customers' pictures of themselves, shown with their contacts in Chatwoot.

Looked for when somebody first writes, and then at most once a day; beside the messages, of which
none waits for a picture or fails with it. A picture that an agent chose stays.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import redis

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Invalid
from gateway.config import Channel
from gateway.errors import DeliveryError, Permanent
from gateway.files.saving import TooLarge
from gateway.lanes import KeyValues, keys
from gateway.lanes.ledger import LEDGER_SECONDS
from gateway.lanes.route import Route
from gateway.model import Place, Portrait
from gateway.observability import logs
from gateway.relay.background import Background
from gateway.relay.to_chatwoot.files import CustomerFiles

LARGEST: Final = 15 * 1024 * 1024
"""Bytes that Chatwoot takes (`app/models/concerns/avatarable.rb`)."""
TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif"})
EVERY: Final = 86_400.0
"""Seconds between two looks."""

log = logging.getLogger(__name__)


class Unfit(Permanent):
    """Chatwoot shows no pictures of this kind."""


@dataclass(frozen=True, slots=True)
class LastAvatar:
    """What we did last for a customer."""

    version: str = ""
    """The network's picture that we looked at."""
    thumbnail: str = ""
    """The address under which Chatwoot shows the one that we put there."""


@dataclass(frozen=True, slots=True)
class Avatars:
    """The pictures of one channel's customers."""

    values: KeyValues
    channel: Channel
    chatwoot: Chatwoot
    files: CustomerFiles
    background: Background

    def schedule_look(self, route: Route, place: Place) -> Route:
        """Have the background look for a picture, if it is time to, and return what to remember of
        that with the lane. No call in the steady state, not even to Redis."""
        now = time.time()
        if not self.files.adapter.has_portraits or now - (route.avatar or 0) < EVERY:
            return Route()
        is_scheduled = self.background.do(partial(self._look, place))
        return Route(avatar=round(now)) if is_scheduled else Route()

    def _look(self, place: Place) -> None:
        try:
            self._update(place)
        except (DeliveryError, redis.RedisError) as error:
            self._log_trouble(place.peer, error)

    def _update(self, place: Place) -> None:
        peer = place.peer
        portrait, last = self._ask_network(place), self._read_last(peer)
        if portrait is None or portrait.version == last.version:
            return
        contact = self.chatwoot.find_contact(self.channel.config.inbox, peer)
        if contact is None or contact.thumbnail not in {"", last.thumbnail}:
            return
        try:
            thumbnail = self._set_avatar(contact.id, portrait)
        except (Invalid, TooLarge, Unfit):
            # Never this one; perhaps the next.
            self._remember(peer, LastAvatar(portrait.version, last.thumbnail))
            raise
        self._remember(peer, LastAvatar(portrait.version, thumbnail))
        logs.event(log, "avatar_set", channel=self.channel.name, peer=peer)

    def _ask_network(self, place: Place) -> Portrait | None:
        try:
            return self.files.adapter.portrait(place)
        except DeliveryError:
            raise
        except Exception as error:
            logs.event(
                log,
                "delivery_crashed",
                level=logging.ERROR,
                error=error,
                channel=self.channel.name,
                peer=place.peer,
            )
            raise Permanent("A fault in the gateway stopped it: see the gateway's log") from error

    def _set_avatar(self, contact: int, portrait: Portrait) -> str:
        with self.files.scratch.room() as room:
            picture = self.files.fetch(portrait.picture, room / "portrait")
            if picture.content_type not in TYPES:
                raise Unfit(f"Chatwoot shows no pictures of the type {picture.content_type}")
            return self.chatwoot.set_avatar(contact, picture).thumbnail

    def _read_last(self, peer: str) -> LastAvatar:
        return LastAvatar(**json.loads(self.values.get(self._key(peer)) or "{}"))

    def _remember(self, peer: str, last: LastAvatar) -> None:
        self.values.set(self._key(peer), json.dumps(asdict(last)), seconds=LEDGER_SECONDS)

    def _key(self, peer: str) -> str:
        return keys.avatar(self.channel.name, peer)

    def _log_trouble(self, peer: str, error: Exception) -> None:
        logs.event(
            log,
            "avatar_not_set",
            level=logging.WARNING,
            channel=self.channel.name,
            peer=peer,
            kind=type(error).__name__,
            why=getattr(error, "reason", "Redis did not answer"),
        )
