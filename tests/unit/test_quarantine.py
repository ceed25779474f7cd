"""A poison message is delivered with nothing beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.relay.quarantine import Quarantine


def test_many_at_a_time_and_a_poison_alone() -> None:
    quarantine, inside, most_beside_poison, lock = Quarantine(), 0, list[int](), threading.Lock()
    together = threading.Barrier(4)

    def innocent() -> None:
        nonlocal inside
        for _ in range(20):
            with quarantine.among_others():
                with lock:
                    inside += 1
                with lock:
                    inside -= 1

    def poison() -> None:
        for _ in range(10):
            with quarantine.alone():
                most_beside_poison.append(inside)

    def at_once() -> None:
        with quarantine.among_others():
            together.wait(5)  # breaks unless four are inside at once

    run([at_once] * 4)
    run([innocent] * 4 + [poison] * 2)
    assert most_beside_poison == [0] * 20


def test_two_poisons_do_not_wait_for_each_other_for_ever() -> None:
    quarantine, done = Quarantine(), list[int]()

    def poison() -> None:
        with quarantine.alone():
            done.append(1)

    run([poison] * 5)
    assert len(done) == 5


def run(bodies: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_poison_waits_until_everybody_has_left() -> None:
    quarantine, alone, may_leave = Quarantine(), threading.Event(), threading.Event()

    def poison() -> None:
        with quarantine.alone():
            alone.set()
            may_leave.wait(5)

    def latecomer() -> None:
        with quarantine.among_others():
            came.append(may_leave.is_set())

    came = list[bool]()
    threads = [threading.Thread(target=body, daemon=True) for body in (poison, latecomer)]
    with quarantine.among_others():
        threads[0].start()
        assert not alone.wait(0.2)
    assert alone.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    may_leave.set()
    for thread in threads:
        thread.join(5)
    assert came == [True]
