"""A server that has forgotten its last moments: what could have left in them is in doubt, once."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from faults.replicated import until
from gateway.lanes import Lanes, keys
from gateway.lanes.scripts import Scripts
from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey
from gateway.storage.failover import NEVER, ServerWatch
from tests.unit.lanes_kit import (
    QUEUE,
    UNLIMITED,
    claim_one,
    counted,
    lanes_over,
    lease_dies,
    ledger,
    letter,
    reply,
    server_time,
    taken,
)


def met(store: redis.Redis, run: str, kept: str = "") -> str:
    return str(Scripts(store)("server_changed", run, kept))


def test_only_another_run_that_may_have_lost_something_counts(store: redis.Redis) -> None:
    assert [met(store, "a"), met(store, "a"), met(store, "b", "kept")] == ["first", "same", "kept"]
    assert not store.exists(keys.FAILOVER)
    assert met(store, "c") == "lost"
    assert abs(float(store.get(keys.FAILOVER) or 0) / 1000 - server_time(store)) < 5


def test_what_waited_is_in_doubt_since_the_change(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    store.hset(keys.route("in/shop/ann"), mapping={"conversation": "12", "newest": "34"})
    lanes.append([letter(1)])
    met(store, "a")
    met(store, "b")
    message = taken(lanes, claim_one(lanes))
    assert message.uncertain and message.after_failover
    assert message.target == "message:12:34"
    assert 0 <= message.since_announced < 5
    assert counted(store, "uncertain") == 1


def test_what_came_afterwards_is_not(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    met(store, "a")
    met(store, "b")
    lanes.append([replace(letter(1), written=server_time(store) + 60)])
    assert not taken(lanes, claim_one(lanes)).uncertain
    assert counted(store, "uncertain") == 0


def test_nor_what_could_not_leave_yet(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1, settle=0.3)])
    met(store, "a")
    met(store, "b")
    time.sleep(0.3)
    assert not taken(lanes, claim_one(lanes)).uncertain


def test_a_reply_behind_a_closed_gate_was_not_sent(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1), replace(letter(1), destination="shop")])
    store.hset(keys.gate("shop"), "state", "closed")
    met(store, "a")
    met(store, "b")
    store.delete(keys.gate("shop"))
    leases = lanes.claim(9, seconds=60, most_each=9, at_work={}, token="t").leases
    doubted = {lease.lane.direction: taken(lanes, lease).uncertain for lease in leases}
    assert doubted == {"out": False, "in": True}, "looking in Chatwoot costs little, a double much"


def test_a_doubt_is_settled_once(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    met(store, "a")
    met(store, "b")
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.announce(lease, "r1", "part:1")
    lanes.record_part(lease, "r1", 1, 2, ["x1"])
    lease_dies(store, lease)
    again = taken(lanes, claim_one(lanes))
    assert again.uncertain and not again.after_failover, (
        "by the death of the worker, not by the change"
    )
    assert counted(store, "uncertain") == 2


def test_a_status_may_be_told_twice(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([replace(letter(1), id="s1", kind="status")])
    met(store, "a")
    met(store, "b")
    assert not taken(lanes, claim_one(lanes)).uncertain


def test_an_old_message_that_is_brought_once_more(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([replace(letter(9, peer="bea"), written=server_time(store) - 60)])
    assert "uncertain" not in ledger(store, "m9")
    met(store, "a")
    met(store, "b")
    now = server_time(store)
    lanes.append([replace(letter(1), written=now - 60)])
    lanes.append([replace(letter(2, peer="bob"), written=now + 60)])
    assert ledger(store, "m1")["uncertain"] == "failover"
    assert "uncertain" not in ledger(store, "m2")


def test_what_does_not_tell_its_age_may_be_old_for_a_while(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    met(store, "a")
    met(store, "b")
    lanes.append([letter(1), reply(1)])
    assert ledger(store, "m1")["uncertain"] == "failover"
    assert "uncertain" not in ledger(store, "r1"), "Chatwoot sends each webhook once"
    store.set(keys.FAILOVER, round((server_time(store) - 16 * 60) * 1000))
    lanes.append([letter(2, peer="bob")])
    assert "uncertain" not in ledger(store, "m2")


class Server:
    """A Valkey of our own that is started anew."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.valkey = EmbeddedValkey(folder)
        self.valkey.prepare()
        self._command = [*self.valkey.command(), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start_anew(self) -> None:
        self.stop()
        self._process = subprocess.Popen(self._command)
        until(self._answers, "it does not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(connect(self.valkey.url, connections=1, retries=0).ping())
        return False


@pytest.fixture(params=["always", "everysec"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Server]]:
    server = Server(tmp_path, "--appendfsync", request.param)
    yield request.param, server
    server.stop()


def test_a_restart_is_noticed_by_the_next_command(server: tuple[str, Server]) -> None:
    mode, valkey = server
    valkey.start_anew()
    client = connect(valkey.valkey.url, connections=2, retries=3, greet=ServerWatch().greet)
    lanes = Lanes(client, QUEUE)
    lanes.append([letter(1)])
    time.sleep(1.1)  # what «everysec» promises
    valkey.start_anew()
    message = taken(lanes, claim_one(lanes))
    assert message.after_failover == (mode == "everysec")


def test_a_restart_with_less_than_was_answered_is_noticed_though_it_says_that_all_is_kept(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path, "--appendfsync", "always")
    try:
        server.start_anew()
        watch = ServerWatch()
        client = connect(server.valkey.url, connections=2, retries=3, greet=watch.greet)
        lanes = Lanes(client, QUEUE, remember=watch.remember)
        lanes.append([letter(1)])
        lanes.append([letter(2)])
        server.stop()
        cut(tmp_path)
        server.start_anew()
        fresh = connect(server.valkey.url, connections=1, retries=3, greet=ServerWatch().greet)
        assert [bool(fresh.exists(keys.message(each))) for each in ("m1", "m2")] == [True, False]
        assert not fresh.exists(keys.FAILOVER), "it remembers nothing of what was answered"
        message = taken(lanes, claim_one(lanes))
        assert message.after_failover
    finally:
        server.stop()


def cut(folder: Path) -> None:
    """Take the end off the append-only log, as a file system does that was not told in time."""
    (log,) = folder.rglob("*.incr.aof")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 40)


def went_back(store: redis.Redis, run: str, told: int) -> str:
    return str(Scripts(store)("server_changed", run, "kept", told))


def test_a_server_that_went_back_is_doubted_once_for_each_run(store: redis.Redis) -> None:
    assert went_back(store, "a", 0) == "first"
    store.set(keys.SEQUENCE, 8)
    assert went_back(store, "b", 8) == "kept", "whoever remembers no more trusts it"
    assert went_back(store, "b", 7) == "same"
    store.set(keys.SEQUENCE, 20)  # it has gone on meanwhile
    assert went_back(store, "b", 9) == "lost"
    assert went_back(store, "b", 10) == "same"
    assert went_back(store, "c", 21) == "lost"
    assert went_back(store, "c", 22) == "same"


def test_an_empty_server_has_gone_back_too(store: redis.Redis) -> None:
    assert went_back(store, "a", 1) == "lost"


def test_what_is_stored_and_what_is_done_have_numbers_that_rise(store: redis.Redis) -> None:
    numbers: list[int] = []
    lanes = Lanes(store, QUEUE, remember=numbers.append)
    lanes.append([letter(1), letter(2)])
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    lanes.ack(lease, message.id, pace=UNLIMITED, nonce="n")
    lanes.ack(lease, message.id, pace=UNLIMITED, nonce="n")
    lanes.ack(lease, "m2", pace=UNLIMITED)
    assert numbers == [1, 2, 3]


class Greeted:
    """A connection to the server whose greeting is interrupted before it ends."""

    def __init__(self, store: redis.Redis, meanwhile: Callable[[], None]) -> None:
        self._connection: Any = store.connection_pool.get_connection()
        self._meanwhile = meanwhile

    def on_connect_check_health(self, *, check_health: bool) -> None:
        """Nothing to do."""

    def send_command(self, *command: str | int, check_health: bool) -> None:
        if command[0] == "CONFIG":
            self._meanwhile()
        self._connection.send_command(*command, check_health=check_health)

    def read_response(self) -> object:
        return self._connection.read_response()


def test_what_the_new_run_has_told_already_is_no_sign_that_it_went_back(
    store: redis.Redis,
) -> None:
    """One thread's greeting is over, and its first answers are here, while another one greets."""
    watch = ServerWatch()
    store.set(keys.SEQUENCE, 5)
    watch.remember(5)
    store.set(keys.SERVER_RUN, "the run before")
    store.config_set("appendonly", "yes")
    store.config_set("appendfsync", "always")

    def other_thread() -> None:
        watch.greet(Greeted(store, lambda: None))
        watch.remember(6)

    watch.greet(Greeted(store, other_thread))
    assert not store.exists(keys.FAILOVER)


class NamesItsIdOfBefore(Greeted):
    """As a server does that restarts from a rewritten log, and one that was promoted."""

    def __init__(self, store: redis.Redis, port: int) -> None:
        super().__init__(store, lambda: None)
        self._port = port

    def read_response(self) -> object:
        answer = super().read_response()
        if not isinstance(answer, str | bytes):
            return answer
        text = answer.decode() if isinstance(answer, bytes) else answer
        before = f"master_replid2:{'a' * 40}"
        text = text.replace(f"master_replid2:{NEVER}", before)
        return re.sub(r"tcp_port:\d+", f"tcp_port:{self._port}", text)


@pytest.mark.parametrize(("port", "is_doubted"), [(0, False), (6379, True)])
def test_a_server_without_a_port_was_never_promoted(
    store: redis.Redis, port: int, is_doubted: bool
) -> None:
    store.set(keys.SERVER_RUN, "the run before")
    store.config_set("appendonly", "yes")
    store.config_set("appendfsync", "always")
    ServerWatch().greet(NamesItsIdOfBefore(store, port))
    assert bool(store.exists(keys.FAILOVER)) == is_doubted


class TellsLittle(Greeted):
    """As a hosted server may, which keeps its state to itself."""

    def read_response(self) -> object:
        answer = super().read_response()
        if not isinstance(answer, str | bytes):
            return answer
        text = answer.decode() if isinstance(answer, bytes) else answer
        return text.replace("loading:0", "").replace("aof_enabled:1", "")


def test_a_server_that_tells_nothing_of_its_log_is_used_and_not_trusted(
    store: redis.Redis,
) -> None:
    store.set(keys.SERVER_RUN, "the run before")
    ServerWatch().greet(TellsLittle(store, lambda: None))
    assert store.exists(keys.FAILOVER)


class StillLoads(Greeted):
    """As a server does until it has read its log, which it switches off meanwhile."""

    def read_response(self) -> object:
        answer = super().read_response()
        if not isinstance(answer, str | bytes):
            return answer
        text = answer.decode() if isinstance(answer, bytes) else answer
        return text.replace("loading:0", "loading:1").replace("aof_enabled:1", "aof_enabled:0")


def test_a_server_that_still_loads_its_log_is_not_judged_by_what_it_says_of_it(
    store: redis.Redis,
) -> None:
    store.set(keys.SERVER_RUN, "the run before")
    store.config_set("appendonly", "yes")
    store.config_set("appendfsync", "always")
    watch = ServerWatch()
    with pytest.raises(redis.BusyLoadingError):
        watch.greet(StillLoads(store, lambda: None))
    watch.greet(Greeted(store, lambda: None))
    assert not store.exists(keys.FAILOVER)
