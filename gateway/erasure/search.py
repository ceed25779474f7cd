"""Reading all that is stored, each thing with the names in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import redis

from gateway.erasure.person import Name, Trace, addresses, conversation, fact, facts
from gateway.lanes import Lane, keys
from gateway.lanes.keys import MessageField

AT_ONCE = 500
"""Keys that are read in one round."""


def read_traces(store: redis.Redis) -> Iterator[Trace]:
    """All that may be somebody's. Raises redis.RedisError."""
    names = cast(Iterator[str], store.scan_iter(keys.PREFIX + "*", count=1000))
    while some := list(islice(names, AT_ONCE)):
        readable = [(key, found) for key in some if (found := _reader_of(key)) is not None]
        with store.pipeline(transaction=False) as pipe:
            for key, reader in readable:
                _ = pipe.hgetall(key) if reader.is_hash else pipe.get(key)
            values = pipe.execute(raise_on_error=False)
        for (key, reader), value in zip(readable, values, strict=True):
            if value and not isinstance(value, Exception):  # else it ended meanwhile
                yield reader.read(key, key.removeprefix(reader.prefix), value)


def read_claims(store: redis.Redis) -> tuple[str, ...]:
    """The tokens of the claims of lately. Raises redis.RedisError."""
    prefix = keys.claim("")
    names = cast(Iterator[str], store.scan_iter(prefix + "*", count=1000))
    return tuple(name.removeprefix(prefix) for name in names)


def _message(key: str, name: str, stored: Mapping[str, str]) -> Trace:
    is_dead = stored.get(MessageField.STATE) == "dead"
    if stored.get(MessageField.KIND) == "status" and not is_dead:
        return Trace(key, frozenset())  # it says nothing of anybody, and agents must be told
    body, channel = _body(stored), stored.get(MessageField.CHANNEL, "")
    told = body.get("person") or body.get("to") or {}
    names = addresses(channel, body.get("peer"))
    names |= facts(*(told.get(field) for field in ("phone", "email", "identifier")))
    lane = stored.get(MessageField.LANE, "")
    if lane:
        names |= _names_in_lane(Lane.read(lane))
    if shown := stored.get(MessageField.CONVERSATION):
        names.add(conversation(channel, shown))
    return Trace(key, frozenset(names), message=name, lane=lane)


def _body(stored: Mapping[str, str]) -> Mapping[str, Any]:
    """What a body says; nothing of one that another release has written in another form."""
    try:
        body = json.loads(stored.get(MessageField.BODY, "{}"))
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _names_in_lane(lane: Lane) -> set[Name]:
    """A customer's lane has their address in its name, before the thread, if it has one."""
    if lane.direction != "in":
        return {conversation(lane.channel, lane.key)}
    words = lane.key.split("/")
    peers = ("/".join(words[:count]) for count in range(1, len(words) + 1))
    return addresses(lane.channel, *peers)


def _route(key: str, name: str, stored: Mapping[str, str]) -> Trace:
    lane = Lane.read(name)
    names = _names_in_lane(lane) | facts(stored.get("identifier"))
    names |= addresses(lane.channel, stored.get("peer"), stored.get("changed_peer"))
    for field in ("conversation", "newer", "looked"):
        if number := stored.get(field):
            names.add(conversation(lane.channel, number))
    return Trace(key, frozenset(names), lane=name)


def _of_a_lane(key: str, name: str, _: object) -> Trace:
    return Trace(key, frozenset(_names_in_lane(Lane.read(name))), lane=name)


def _contact(key: str, _: str, stored: str) -> Trace:
    return Trace(key, frozenset(facts(*json.loads(stored))))


def _address_change(key: str, name: str, stored: str) -> Trace:
    channel, _, peer = name.partition(":")
    return Trace(key, frozenset(addresses(channel, peer, json.loads(stored)["to"])))


def _former_address(key: str, name: str, stored: str) -> Trace:
    channel, _, peer = name.partition(":")
    return Trace(key, frozenset(addresses(channel, peer, stored)))


def _of_a_customer(key: str, name: str, _: object) -> Trace:
    channel, _, peer = name.partition(":")
    return Trace(key, frozenset(addresses(channel, peer)))


def _flood(key: str, name: str, stored: object) -> Trace:
    return _of_a_customer(key, name.partition(":")[2], stored)


def _lock(key: str, name: str, _: object) -> Trace:
    return Trace(key, frozenset({fact(name.partition(":")[2])}))


@dataclass(frozen=True, slots=True)
class _Reader:
    prefix: str
    """How the keys begin."""
    read: Callable[[str, str, Any], Trace]
    is_hash: bool = False


_READERS = (
    _Reader(keys.message(""), _message, is_hash=True),
    _Reader(keys.route(""), _route, is_hash=True),
    _Reader(keys.answer(""), _of_a_lane),
    _Reader(keys.pace(""), _of_a_lane, is_hash=True),
    _Reader(keys.brake(""), _of_a_customer, is_hash=True),
    _Reader(keys.contact("", 0).removesuffix(":0"), _contact),
    _Reader(keys.address_change("", "").removesuffix(":"), _address_change),
    _Reader(keys.former_address("", "").removesuffix(":"), _former_address),
    _Reader(keys.avatar("", "").removesuffix(":"), _of_a_customer),
    _Reader(keys.flood("", "").removesuffix(":"), _flood),
    _Reader(keys.lock_person("", "").removesuffix(":"), _lock),
)


def _reader_of(key: str) -> _Reader | None:
    return next((each for each in _READERS if key.startswith(each.prefix)), None)
