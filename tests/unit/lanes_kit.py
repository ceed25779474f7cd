"""What the tests of the lanes share: small builders, and hands that move the time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from uuid import uuid4

import redis

from gateway.lanes import Entry, GatePolicy, Lane, Lanes, Lease, Pace, Taken, keys

QUEUE = "rq:queue:gateway"
LEASE = 60.0
UNLIMITED = Pace()
PASSING = {keys.COUNTS, keys.WAKE, keys.DESTINATIONS, keys.SEQUENCE, keys.CLOCK}
"""What a repetition may touch, and what stays for ever by design."""


def lanes_over(store: redis.Redis, *, gates: GatePolicy | None = None) -> Lanes:
    return Lanes(store, QUEUE, gates=gates or GatePolicy())


def reply(
    number: int, *, conversation: str = "7", settle: float = 0.0, destination: str = "shop"
) -> Entry:
    """An agent's reply; it has its place in the lane by its number."""
    return Entry(
        id=f"r{number}",
        lane=Lane("out", "shop", conversation),
        destination=destination,
        kind="out",
        body=f"body of r{number}",
        settle=settle,
        order=2 * number,
        status_destination="chatwoot",
    )


def letter(number: int, *, peer: str = "ann", destination: str = "chatwoot") -> Entry:
    """A customer's message; its place is behind what waits."""
    lane = Lane("in", "shop", peer)
    return Entry(f"m{number}", lane, destination, "in", f"body of m{number}")


def deletion(number: int, *, conversation: str = "7") -> Entry:
    """The operation that deletes reply `number`: its place is right behind it."""
    lane = Lane("out", "shop", conversation)
    return Entry(f"d{number}", lane, "shop", "delete", f"delete r{number}", order=2 * number + 1)


def claim(lanes: Lanes, *, most: int = 100, most_each: int = 100, token: str = "") -> list[Lease]:
    token = token or uuid4().hex
    return list(
        lanes.claim(most, seconds=LEASE, most_each=most_each, at_work={}, token=token).leases
    )


def claim_one(lanes: Lanes, *, token: str = "") -> Lease:
    """The one lane that is due."""
    (lease,) = claim(lanes, token=token)
    return lease


def taken(lanes: Lanes, lease: Lease, *, nonce: str = "", pace: Pace = UNLIMITED) -> Taken:
    """The head of a lane, which must be there."""
    message = lanes.take(lease, pace=pace, nonce=nonce)
    assert message is not None
    return message


def drained(lanes: Lanes) -> list[str]:
    """Deliver all that may leave now, lane by lane; the ids in the order of their delivery."""
    done: list[str] = []
    while leases := claim(lanes):
        for lease in leases:
            message = lanes.take(lease, pace=UNLIMITED)
            while message is not None:
                done.append(message.id)
                message = lanes.ack(lease, message.id, pace=UNLIMITED)
    return done


def lease_dies(store: redis.Redis, lease: Lease) -> None:
    """What happens when a worker is killed and its lease has run out."""
    store.delete(keys.lease(lease.lane))
    becomes_due(store, lease)


def becomes_due(store: redis.Redis, lease: Lease) -> None:
    store.zadd(keys.due(lease.destination), {str(lease.lane): 0})


def stolen(lanes: Lanes, store: redis.Redis, lease: Lease) -> Lease:
    """The lease runs out, and another worker claims the lane."""
    lease_dies(store, lease)
    (other,) = (h for h in claim(lanes) if h.lane == lease.lane)
    return other


def due_in(store: redis.Redis, entry: Entry) -> float:
    """Seconds until a lane becomes due, by the server's clock; negative if it is."""
    score = store.zscore(keys.due(entry.destination), str(entry.lane))
    assert isinstance(score, float)
    return score / 1000 - server_time(store)


def server_time(store: redis.Redis) -> float:
    seconds, micros = store.time()
    return seconds + micros / 1_000_000


def ledger(store: redis.Redis, message: str) -> dict[str, str]:
    return cast(dict[str, str], store.hgetall(keys.message(message)))


def counted(store: redis.Redis, name: str, channel: str = "shop") -> int:
    return int(cast(str | None, store.hget(keys.COUNTS, f"{name}|{channel}")) or 0)


def snapshot(store: redis.Redis) -> dict[str, Any]:
    """Everything that is stored, but for what a repetition may touch (`PASSING`)."""
    names = cast(Iterable[str], store.scan_iter(keys.PREFIX + "*"))
    kept = sorted(name for name in names if name not in PASSING)
    return {name: _content(store, name) for name in kept}


def _content(store: redis.Redis, name: str) -> Any:
    match store.type(name):
        case "string":
            return store.get(name)
        case "hash":
            return store.hgetall(name)
        case "zset":
            return store.zrange(name, 0, -1, withscores=True)
        case "list":
            return store.lrange(name, 0, -1)
        case "stream":
            return store.xrange(name)
        case other:
            raise AssertionError(name, other)
