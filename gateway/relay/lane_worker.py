"""Works on one lane: delivers, defers or buries its messages until none may leave."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from gateway.errors import DeliveryError, LeaseLost
from gateway.http import fence
from gateway.lanes import After, Kind, Lanes, Lease, LeaseVoid, Note, Taken, notes
from gateway.lanes.bodies import UnknownVersion
from gateway.observability import logs
from gateway.relay.delivery import (
    Delivery,
    Done,
    GivenBack,
    NotConfigured,
    NotNow,
    still_seen,
)
from gateway.relay.quarantine import Quarantine
from gateway.relay.retry_policy import BEFORE_QUARANTINE, DEATHS, BrokeDown, Bury, Defer, decide

MESSAGES, SECONDS = 50, 10.0
"""What one claim of a lane may deliver, and for how long: a busy lane must not starve others."""
UNKNOWN_VERSION_WAIT = 30.0
NOT_CONFIGURED_WAIT = 60.0
NO_ROOM_WAIT = 30.0

NO_FAULT = (
    DeliveryError,
    GivenBack,
    LeaseLost,
    LeaseVoid,
    NotNow,
    UnknownVersion,
    redis.RedisError,
)
"""What a delivery may raise without there being a fault in the code."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LaneWorker:
    """Delivers the messages of a claimed lane. Threads share it, each with a lane of its own."""

    lanes: Lanes
    deliveries: Callable[[Lease, Kind], Delivery]
    """The way to deliver a kind of message of a lane."""
    quarantine: Quarantine
    redact: Callable[[str], str] = str
    """Takes secrets out of a reason: agents read it, and it may quote what the other side said."""

    def work(
        self, lease: Lease, *, stop: Callable[[], bool], still_ours: Callable[[], bool]
    ) -> None:
        """Deliver the lane's messages one by one, within the budget of one claim.

        `still_ours` is asked immediately before each write to the outside.
        """

        def check() -> None:
            if not still_ours():
                raise LeaseLost(str(lease.lane))

        token = fence.set(check)
        try:
            self._deliver_all(lease, stop)
        except (LeaseVoid, LeaseLost):
            logs.event(log, "lease_lost", lane=lease.lane)
        except UnknownVersion:
            self.lanes.release(lease, seconds=UNKNOWN_VERSION_WAIT)
        except NotConfigured:
            logs.event(log, "channel_not_configured", level=logging.WARNING, lane=lease.lane)
            self.lanes.release(lease, seconds=NOT_CONFIGURED_WAIT)
        finally:
            fence.reset(token)

    def _deliver_all(self, lease: Lease, stop: Callable[[], bool]) -> None:
        started, count = time.monotonic(), 0
        pace = self.deliveries(lease, _first_kind(lease)).pace
        taken = self.lanes.take(lease, pace=pace)
        while taken is not None:
            count += 1
            is_last = count >= MESSAGES or time.monotonic() - started > SECONDS or stop()
            taken = self._deliver(lease, taken, "stop" if is_last else "more")

    def _deliver(self, lease: Lease, taken: Taken, after: After) -> Taken | None:
        try:
            delivery = self.deliveries(lease, taken.kind)
        except UnknownVersion:
            self.lanes.release(lease, taken.id, seconds=UNKNOWN_VERSION_WAIT)
            return None
        if taken.crashes >= DEATHS:
            why = Bury(f"Given up: the worker died in {DEATHS} attempts")
            return self._bury(lease, taken, delivery, why, after)
        try:
            done = self._attempt(lease, taken, delivery)
        except GivenBack:
            return None
        except NotNow as wait:
            self.lanes.defer(lease, taken.id, wait.seconds)
        except redis.OutOfMemoryError:  # what it has to append does not fit
            self.lanes.defer(lease, taken.id, NO_ROOM_WAIT)
        except UnknownVersion:
            self.lanes.release(lease, taken.id, seconds=UNKNOWN_VERSION_WAIT)
        except DeliveryError as error:
            return self._handle_failure(lease, taken, delivery, error, after)
        else:
            return self._acknowledge(lease, taken, delivery, done, after)
        return None

    def _attempt(self, lease: Lease, taken: Taken, delivery: Delivery) -> Done:
        """Deliver; a fault of our own, or of an adapter, becomes a `BrokeDown`."""
        try:
            with self._take_turn(lease, taken):
                return delivery.deliver(lease, taken)
        except NO_FAULT:
            raise
        except Exception as error:
            # The lane must not stick, nor must a message be lost: it counts as refused.
            logs.event(
                log,
                "delivery_crashed",
                level=logging.ERROR,
                error=error,
                message=taken.id,
                lane=lease.lane,
            )
            reason = "A fault in the gateway stopped this message: see the gateway's log"
            raise BrokeDown(reason) from error

    def _acknowledge(
        self, lease: Lease, taken: Taken, delivery: Delivery, done: Done, after: After
    ) -> Taken | None:
        logs.event(
            log,
            "delivered",
            message=taken.id,
            lane=lease.lane,
            external=done.external,
            attempt=taken.attempts,
            age=f"{taken.age:.3f}",
        )
        return self.lanes.ack(
            lease,
            taken.id,
            pace=delivery.pace,
            after=after,
            told=done.told,
            routes=done.routes,
            doubled=done.doubled,
        )

    def _handle_failure(
        self, lease: Lease, taken: Taken, delivery: Delivery, error: DeliveryError, after: After
    ) -> Taken | None:
        decision = decide(error, taken, delivery.patience)
        match decision:
            case Bury():
                return self._bury(lease, taken, delivery, decision, after, detail=error.detail)
            case Defer():
                logs.event(
                    log,
                    "deferred",
                    message=taken.id,
                    lane=lease.lane,
                    why=error.reason,
                    detail=error.detail,
                    kind=type(error).__name__,
                    attempt=taken.attempts,
                    seconds=f"{decision.seconds:.1f}",
                )
                self.lanes.defer(
                    lease,
                    taken.id,
                    decision.seconds,
                    error=self.redact(decision.error),
                    certainty=decision.certainty,
                    trouble=decision.trouble,
                    behind_gate=decision.behind_gate,
                )
                return None

    def _bury(
        self,
        lease: Lease,
        taken: Taken,
        delivery: Delivery,
        why: Bury,
        after: After,
        *,
        detail: str = "",
    ) -> Taken | None:
        reason = self.redact(why.reason)
        logs.event(
            log,
            "buried",
            level=logging.ERROR,
            message=taken.id,
            lane=lease.lane,
            why=reason,
            detail=detail,
        )
        return self.lanes.bury(
            lease,
            taken.id,
            reason,
            pace=delivery.pace,
            after=after,
            note=_note_about(lease, taken, reason),
            certainty=why.certainty,
        )

    @contextmanager
    def _take_turn(self, lease: Lease, taken: Taken) -> Iterator[None]:
        """Beside others; a poison message alone, and not at work before it is."""
        if taken.crashes < BEFORE_QUARANTINE:
            with self.quarantine.among_others():
                yield
        else:
            with self.quarantine.alone():
                self.lanes.isolate(lease, taken.id)
                yield


def _first_kind(lease: Lease) -> Kind:
    """The rates of a lane's first message are asked for before it is known what it is.

    Raises `UnknownVersion`."""
    kinds: dict[str, Kind] = {"in": "in", "out": "out", "status": "status"}
    if lease.lane.direction not in kinds:
        raise UnknownVersion(lease.lane.direction)
    return kinds[lease.lane.direction]


def _note_about(lease: Lease, taken: Taken, reason: str) -> Note | None:
    """Tell agents of a customer's message that could not be relayed, where there is a place, and of
    a deletion: Chatwoot shows no more of it."""
    if taken.kind == "in" and taken.route.conversation is not None:
        conversation = taken.route.conversation
        words = (
            f"A message from the customer could not be shown here: {reason}. "
            f"The gateway keeps it as {taken.id}."
        )
    elif taken.kind == "delete" and taken.subject.parts:
        conversation, words = int(lease.lane.key), still_seen(reason)
    else:
        return None
    # A deletion's own lane leads to the network; its reply knows where agents are told.
    destination = taken.subject.status_destination or lease.destination
    return notes.burial_note(
        taken.id, lease.lane.channel, conversation, destination=destination, text=words
    )
