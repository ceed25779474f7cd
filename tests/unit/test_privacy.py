"""docs/PRIVACY.md says of each key what docs/STORED_DATA.md does, and what Redis is told."""

from __future__ import annotations

import re

import redis

from gateway.config.values import GatewaySettings
from tests.unit.documents import read, rows, section
from tests.unit.test_erasure import PEOPLE, live_through_all

PRIVACY = read("docs/PRIVACY.md")
STORED = {row[0]: row[3] for row in rows(section(read("docs/STORED_DATA.md"), "Keys"))}
KEPT = {row[0]: row[2] for row in rows(section(PRIVACY, "Where, what and how long"))}
NOBODYS = {
    "`gw:destinations`",
    "`gw:wake`",
    "`gw:counts`",
    "`gw:heartbeats`",
    "`gw:server_run`",
    "`gw:failover`",
    "`gw:failover_closed`",
    "`gw:event_streams`",
    "`gw:server_began`",
    "`gw:sequence`",
    "`gw:channel_states`",
    "`gw:clock`",
    "`gw:ready`",
    "`gw:hold:DESTINATION`",
    "`gw:look_wanted:CHANNEL`",
    "`gw:catch_up_wanted:CHANNEL`",
    "`gw:typing`",
    "`gw:gate:DESTINATION`",
    "`gw:alive:WORKER`",
    "`gw:tombstone:MESSAGE`",
    "`gw:cursor:CHANNEL`",
    "`gw:caught_up:CHANNEL`",
    "`gw:watermark:CHANNEL`",
    "`gw:failed_call:CHANNEL`",
    "`gw:webhook:CHANNEL:NAME`",
    "`gw:unreadable:CHANNEL:FINGERPRINT`",
}
SECONDS = {"minute": 60, "minutes": 60, "day": 86400, "days": 86400, "seconds": 1, "second": 1}


def test_every_key_is_told_of_or_is_nobodys() -> None:
    left = {key for key in STORED if not key.startswith("`gw:lock:")} - set(KEPT) - NOBODYS
    assert left == set(), "say in docs/PRIVACY.md what they have of a person"
    assert {key: STORED[key] for key in KEPT} == KEPT


def longest(stays: str) -> int:
    found = re.findall(r"(\d+|a|two) (\w+)", stays)
    words = {"a": 1, "two": 2}
    return max(
        (int(words.get(count, count)) * SECONDS[unit] for count, unit in found if unit in SECONDS),
        default=0,
    )


def test_redis_is_told_the_same(store: redis.Redis) -> None:
    for name in PEOPLE:
        live_through_all(store, name)
    looked_at = set()
    for key in store.scan_iter("gw:*"):
        left = int(str(store.ttl(key)))
        named = max(
            (row for row in KEPT if re.match(re.sub("[A-Z]+", ".+", row.strip("`")) + "$", key)),
            key=len,
            default="",
        )
        limit = longest(KEPT.get(named, ""))
        if named and left >= 0 and limit:
            assert left <= limit, key
            looked_at.add(named)
        elif named:
            assert "while" in KEPT[named] or "until" in KEPT[named] or "`lease`" in KEPT[named], key
    assert len(looked_at) > 5


def test_the_settings_are_those_of_the_code() -> None:
    table = {row[0].strip("`"): row[1] for row in rows(section(PRIVACY, "Shorter"))}
    for name, default in table.items():
        value = GatewaySettings.model_fields[name].default
        assert longest(default) in {value, value * 86400}, name
