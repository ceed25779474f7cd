"""A suspect is delivered with nothing beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.relay.quarantine import Crowd


def test_many_at_a_time_and_a_suspect_alone() -> None:
    crowd, inside, most_beside_suspect, lock = Crowd(), 0, list[int](), threading.Lock()
    together = threading.Barrier(4)

    def innocent() -> None:
        nonlocal inside
        for _ in range(20):
            with crowd.among_others():
                with lock:
                    inside += 1
                with lock:
                    inside -= 1

    def suspect() -> None:
        for _ in range(10):
            with crowd.alone():
                most_beside_suspect.append(inside)

    def at_once() -> None:
        with crowd.among_others():
            together.wait(5)  # breaks unless four are inside at once

    run([at_once] * 4)
    run([innocent] * 4 + [suspect] * 2)
    assert most_beside_suspect == [0] * 20


def test_two_suspects_do_not_wait_for_each_other_for_ever() -> None:
    crowd, done = Crowd(), list[int]()

    def suspect() -> None:
        with crowd.alone():
            done.append(1)

    run([suspect] * 5)
    assert len(done) == 5


def run(bodies: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_suspect_waits_until_everybody_has_left() -> None:
    crowd, alone, may_leave = Crowd(), threading.Event(), threading.Event()

    def suspect() -> None:
        with crowd.alone():
            alone.set()
            may_leave.wait(5)

    def latecomer() -> None:
        with crowd.among_others():
            came.append(may_leave.is_set())

    came = list[bool]()
    threads = [threading.Thread(target=body, daemon=True) for body in (suspect, latecomer)]
    with crowd.among_others():
        threads[0].start()
        assert not alone.wait(0.2)
    assert alone.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    may_leave.set()
    for thread in threads:
        thread.join(5)
    assert came == [True]
