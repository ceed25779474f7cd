"""Two workers, several lanes, any sequence of steps: nothing vanishes, nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.lanes import After, Entry, Lane, Lease, LeaseVoid, Taken, keys
from tests.unit.lanes_kit import (
    LEASE,
    UNLIMITED,
    counted,
    drained,
    lanes_over,
    lease_dies,
    ledger,
    letter,
    reply,
)

WORKERS = st.sampled_from(("left", "right"))
NUMBERS = st.integers(1, 24)
REPEATS = st.lists(NUMBERS, max_size=2)
"""A request is repeated when its answer was lost: after each time, another message slips in."""


def entry(number: int) -> Entry:
    """Replies to two conversations, and letters of two peers."""
    if number % 2:
        return reply(number, conversation=f"c{number % 4}")
    return letter(number, peer=f"p{number % 4}")


def essence(answer: Any) -> Any:
    """An answer without what a repetition may change: how much time has passed."""
    if isinstance(answer, Taken):
        return answer.id, answer.attempts, answer.crashes, answer.uncertain
    return answer


class Worker:
    """What one worker believes: the lane that it holds, and the message that it was given."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.message: Taken | None = None

    @property
    def stage(self) -> str:
        if self.lease is None:
            return "idle"
        return "claimed" if self.message is None else "sending"

    def forget(self) -> None:
        self.lease = self.message = None


class LanesMachine(RuleBasedStateMachine):
    """The world, and beside it what must be true of it."""

    store: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.store.flushall()
        self.lanes = lanes_over(self.store)
        self.workers = {"left": Worker(), "right": Worker()}
        self.known: dict[str, Entry] = {}
        self.ended: dict[str, str] = {}
        self.left: dict[str, list[int]] = {}
        self.owner: dict[str, str] = {}
        self.requests = 0

    def nonce(self) -> str:
        self.requests += 1
        return f"n{self.requests}"

    def pick(self, name: str, stage: str) -> Worker:
        """The worker of this name if it is in this stage, else the other one."""
        workers = [self.workers[name], *self.workers.values()]
        return next(worker for worker in workers if worker.stage == stage)

    def store_once(self, *numbers: int) -> list[str]:
        """Append, and say what the outcomes must be."""
        expected = []
        for item in map(entry, numbers):
            expected.append("duplicate" if item.id in self.known else "new")
            self.known.setdefault(item.id, item)
        return expected

    def repeat(self, worker: Worker, slips: list[int], step: Callable[[], Any]) -> Any:
        """The same request several times; void ends what the worker believes."""
        assert worker.lease is not None
        ours = self.owner.get(str(worker.lease.lane)) == worker.lease.token
        answers = [self.answer(step)]
        for number in slips:
            self.store_once(number)
            self.lanes.append([entry(number)])
            answers.append(self.answer(step))
        assert len(set(map(essence, answers))) == 1, answers
        assert ours == (answers[0] != "void")
        if not ours:
            worker.forget()
        return answers[0]

    def answer(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except LeaseVoid:
            return "void"

    def believe(self, worker: Worker, message: Taken | None) -> None:
        worker.message = message
        if message is None:
            self.given_back(worker)

    def given_back(self, worker: Worker) -> None:
        assert worker.lease is not None
        del self.owner[str(worker.lease.lane)]
        worker.forget()

    def end(self, message: Taken, how: str) -> None:
        assert message.id not in self.ended, "ended twice"
        self.ended[message.id] = how
        item = self.known[message.id]
        if item.order is not None:
            self.left.setdefault(str(item.lane), []).append(item.order)
        if item.kind == "out" and how == "dead":
            self.told(item)

    def told(self, buried: Entry) -> None:
        """That a reply is given up is told Chatwoot by a message of its own, once."""
        name, lane = f"s:{buried.id}", Lane("status", buried.lane.channel, buried.lane.key)
        assert name not in self.known
        self.known[name] = Entry(name, lane, buried.status_destination, "status", body="")

    # What the rules draw must not depend on the moment at which a lane became due, so they have no
    # preconditions: a rule that fits nobody does nothing.
    def anybody(self, stage: str) -> bool:
        return any(worker.stage == stage for worker in self.workers.values())

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=4), times=st.integers(1, 2))
    def append(self, numbers: list[int], times: int) -> None:
        nonce, expected = self.nonce(), self.store_once(*numbers)
        for _ in range(times):
            outcomes = self.lanes.append(map(entry, numbers), nonce=nonce).outcomes
            assert list(outcomes) == expected

    @rule(name=WORKERS, times=st.integers(1, 2))
    def claim(self, name: str, times: int) -> None:
        if not self.anybody("idle"):
            return
        worker, token = self.pick(name, "idle"), self.nonce()
        found = {
            self.lanes.claim(1, seconds=LEASE, most_each=9, at_work={}, token=token).leases
            for _ in range(times)
        }
        assert len(found) == 1
        for lease in found.pop():
            assert str(lease.lane) not in self.owner, "two holders of one lane"
            self.owner[str(lease.lane)] = token
            worker.lease = lease

    @rule(name=WORKERS, slips=REPEATS)
    def take(self, name: str, slips: list[int]) -> None:
        if not self.anybody("claimed"):
            return
        worker, nonce = self.pick(name, "claimed"), self.nonce()
        lease = worker.lease
        assert lease
        answer = self.repeat(
            worker, slips, lambda: self.lanes.take(lease, pace=UNLIMITED, nonce=nonce)
        )
        if answer != "void":
            self.believe(worker, answer)

    @rule(
        name=WORKERS,
        slips=REPEATS,
        after=st.sampled_from(("more", "more", "stop")),
        how=st.sampled_from(("done", "dead")),
    )
    def finish(self, name: str, slips: list[int], after: After, how: str) -> None:
        if not self.anybody("sending"):
            return
        worker, nonce = self.pick(name, "sending"), self.nonce()
        lease, message = worker.lease, worker.message
        assert lease
        assert message

        def step() -> Taken | None:
            if how == "done":
                return self.lanes.ack(lease, message.id, pace=UNLIMITED, after=after, nonce=nonce)
            return self.lanes.bury(
                lease, message.id, "no", pace=UNLIMITED, after=after, nonce=nonce
            )

        answer = self.repeat(worker, slips, step)
        if answer != "void":
            self.end(message, how)
            self.believe(worker, answer)

    @rule(name=WORKERS, slips=REPEATS)
    def defer(self, name: str, slips: list[int]) -> None:
        if not self.anybody("sending"):
            return
        worker, nonce = self.pick(name, "sending"), self.nonce()
        lease, message = worker.lease, worker.message
        assert lease
        assert message
        answer = self.repeat(
            worker, slips, lambda: self.lanes.defer(lease, message.id, 0, error="e", nonce=nonce)
        )
        if answer != "void":
            self.given_back(worker)

    @rule(name=WORKERS, times=st.integers(1, 2))
    def release(self, name: str, times: int) -> None:
        if not self.anybody("sending"):
            return
        worker = self.pick(name, "sending")
        lease, message = worker.lease, worker.message
        assert lease
        assert message
        for _ in range(times):
            self.lanes.release(lease, message.id)
        if self.owner.get(str(lease.lane)) == lease.token:
            self.given_back(worker)
        worker.forget()

    @rule(name=WORKERS)
    def lease_runs_out(self, name: str) -> None:
        """The worker does not know it: it goes on, and must be told that it is void."""
        lease = self.workers[name].lease
        if lease is None or self.owner.get(str(lease.lane)) != lease.token:
            return
        lease_dies(self.store, lease)
        del self.owner[str(lease.lane)]

    @invariant()
    def every_message_waits_or_has_ended(self) -> None:
        for name, item in self.known.items():
            waits = self.store.zscore(keys.lane(item.lane), name) is not None
            state = ledger(self.store, name)["state"]
            assert waits == (name not in self.ended), f"{name} is {state}"
            assert (state in {"done", "dead"}) == (not waits)
            assert waits or state == self.ended[name]

    @invariant()
    def a_lane_with_messages_has_a_time(self) -> None:
        for item in self.known.values():
            if self.store.exists(keys.lane(item.lane)):
                assert self.store.zscore(keys.due(item.destination), str(item.lane)) is not None

    def teardown(self) -> None:
        """When both workers are dead, another delivers all the rest, in order."""
        for worker in self.workers.values():
            if worker.lease and self.owner.get(str(worker.lease.lane)) == worker.lease.token:
                lease_dies(self.store, worker.lease)
        rest = drained(self.lanes)
        for lane in {str(item.lane) for item in self.known.values()}:
            items = [self.known[name] for name in rest if str(self.known[name].lane) == lane]
            orders = [item.order for item in items if item.order is not None]
            assert orders == sorted(orders)
            self.left.setdefault(lane, []).extend(orders)
        assert sorted([*rest, *self.ended]) == sorted(self.known)
        assert counted(self.store, "late") == sum(map(late, self.left.values()))


def late(orders: list[int]) -> int:
    """How many left after one that is younger."""
    return sum(order < max(orders[:n], default=0) for n, order in enumerate(orders))


def test_nothing_vanishes_and_nothing_is_doubled(store: redis.Redis) -> None:
    machine = type("Machine", (LanesMachine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
