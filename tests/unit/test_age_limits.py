"""How long things are kept: dead letters, what is remembered of people, the server's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import redis

from gateway.clock.housekeeping import Housekeeping
from gateway.config import Settings, load
from gateway.erasure.age import PREFIXES, forget_people
from gateway.lanes import DeadLetters, keys
from gateway.lanes.ledger import LEDGER_SECONDS
from gateway.storage.embedded import EmbeddedValkey
from tests.unit.lanes_kit import UNLIMITED, claim_one, lanes_over, ledger, letter, taken

DAY = 86400
CONFIG = """\
[gateway]
public_url = "https://gw.example.org"
secret = "0123456789abcdef"
{limits}
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "chatwoot-token"
[channels.shop]
adapter = "telegram"
inbox = 7
token = "1:abcdefghijklmnop"
"""


def settings(folder: Path, url: str, limits: str = "") -> Settings:
    path = folder / "channels.toml"
    path.write_text(CONFIG.format(limits=limits))
    return load(path, {"REDIS_URL": url})


def dead_for(store: redis.Redis, *days: int) -> None:
    """A dead letter for each: m1, m2 …"""
    lanes = lanes_over(store)
    for number, _ in enumerate(days, 1):
        lanes.append([letter(number)])
        lease = claim_one(lanes)
        taken(lanes, lease)
        lanes.bury(lease, f"m{number}", "no", pace=UNLIMITED, after="stop")
    now = int(store.time()[0])
    entries = cast(list[tuple[str, Any]], store.xrange(keys.DEAD_LETTERS))
    store.delete(keys.DEAD_LETTERS)
    for (_, fields), age in zip(entries, days, strict=True):
        entry = store.xadd(keys.DEAD_LETTERS, fields, id=f"{(now - age * DAY) * 1000}-1")
        store.hset(keys.message(fields["id"]), "dead_letter", entry)


def test_dead_letters_end_with_their_text(
    store: redis.Redis, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead_for(store, 31, 29)
    Housekeeping(settings(tmp_path, redis_url, "keep_dead_letters = 30"), store).do_what_is_due()
    assert [each.id for each in DeadLetters(store).list()] == ["m2"]
    assert "body" not in ledger(store, "m1")
    assert "body" in ledger(store, "m2")
    assert lanes_over(store).append([letter(1)]).outcomes == ("duplicate",)
    assert [each.message for each in caplog.records] == ["dead_expired"]


def test_they_are_kept_for_ever_where_the_settings_say_so(
    store: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    dead_for(store, 10_000)
    Housekeeping(settings(tmp_path, redis_url, "keep_dead_letters = 0"), store).do_what_is_due()
    assert [each.id for each in DeadLetters(store).list()] == ["m1"]


def test_people_of_whom_nothing_was_heard_are_forgotten(store: redis.Redis) -> None:
    for prefix in PREFIXES:
        store.hset(f"{prefix}old", "a", "b")
        store.expire(f"{prefix}old", LEDGER_SECONDS - 31 * DAY)
        store.hset(f"{prefix}new", "a", "b")
        store.expire(f"{prefix}new", LEDGER_SECONDS - 29 * DAY)
    assert forget_people(store, seconds=30 * DAY) == len(PREFIXES)
    assert sorted(store.scan_iter("*")) == sorted(f"{prefix}new" for prefix in PREFIXES)
    assert forget_people(store, seconds=90 * DAY) == 0


def test_each_task_is_done_once_in_its_time(
    store: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    keeping = Housekeeping(settings(tmp_path, redis_url), store)
    keeping.do_what_is_due()
    assert 0 < store.pttl(keys.lock_housekeeping("people")) <= DAY * 1000
    dead_for(store, 100)
    keeping.do_what_is_due()
    assert len(list(DeadLetters(store).list())) == 1
    store.delete(keys.lock_housekeeping("dead_letters"))
    keeping.do_what_is_due()
    assert list(DeadLetters(store).list()) == []


def rewrites(store: redis.Redis) -> int:
    """The number of the file that the next rewrite follows."""
    folder = Path(str(store.config_get("dir")["dir"])) / "appendonlydir"
    return max(int(path.name.split(".")[2]) for path in folder.glob("*.base.*"))


def kept_with(store: redis.Redis, server: EmbeddedValkey, settings: Settings) -> int:
    """How often the file is written anew in two looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.clock.housekeeping.embedded_in", lambda _: server)
        keeping, before = Housekeeping(settings, store), rewrites(store)
        keeping.do_what_is_due()
        keeping.do_what_is_due()
        return rewrites(store) - before


def test_our_own_servers_file_is_written_anew_once_a_day(
    store: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    server = EmbeddedValkey(Path(str(store.config_get("dir")["dir"])))
    never = settings(tmp_path, redis_url, "rewrite_every = 0")
    assert kept_with(store, server, never) == 0
    assert kept_with(store, server, settings(tmp_path, redis_url)) == 1


def test_another_server_is_left_alone(store: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    elsewhere = EmbeddedValkey(tmp_path)
    assert kept_with(store, elsewhere, settings(tmp_path, redis_url)) == 0
