from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.bounded import Bounded, Overrun
from tests.unit.costly import (
    divide,
    double,
    end_at_once,
    environment,
    fill,
    process,
    search_for_ever,
    something_that_stays_there,
)
from tests.waiting import until


def has_ended(child: int) -> bool:
    """Whether it is gone, or waits for its parent to notice."""
    stat = Path(f"/proc/{child}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def bounded() -> Iterator[Bounded]:
    it = Bounded(seconds=0.2, megabytes=64)
    yield it
    it.close()


def test_a_call_returns_what_the_function_returns(bounded: Bounded) -> None:
    assert [bounded.call(double, number) for number in (1, 2)] == [2, 4]


def test_one_child_serves_all_calls(bounded: Bounded) -> None:
    assert bounded.call(process) == bounded.call(process) != os.getpid()


def test_what_the_function_raises_is_raised_here(bounded: Bounded) -> None:
    with pytest.raises(ZeroDivisionError):
        bounded.call(divide, 1)
    assert bounded.call(double, 1) == 2


def test_a_regular_expression_without_end_is_ended(bounded: Bounded) -> None:
    """It runs in C, where no handler of Python's would be called."""
    with pytest.raises(Overrun, match=r"0\.2 s of processor time"):
        bounded.call(search_for_ever)
    assert bounded.call(double, 1) == 2


def test_memory_beyond_the_budget_is_refused(bounded: Bounded) -> None:
    assert bounded.call(fill, 32) == 32 << 20
    with pytest.raises(Overrun, match="64 MB"):
        bounded.call(fill, 65)
    assert bounded.call(fill, 32) == 32 << 20


def test_a_call_that_ends_its_child_is_an_overrun(bounded: Bounded) -> None:
    with pytest.raises(Overrun):
        bounded.call(end_at_once)
    assert bounded.call(double, 1) == 2


def test_a_child_that_is_killed_between_two_calls_costs_none(bounded: Bounded) -> None:
    killed = bounded.call(process)
    os.kill(killed, signal.SIGKILL)
    until(lambda: has_ended(killed))
    assert bounded.call(process) != killed


def test_what_cannot_be_sent_back_is_an_error_and_no_end(bounded: Bounded) -> None:
    child = bounded.call(process)
    with pytest.raises(RuntimeError):
        bounded.call(something_that_stays_there)
    assert bounded.call(process) == child


def test_the_child_has_no_secrets(bounded: Bounded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATWOOT_TOKEN", "very-secret")
    assert set(bounded.call(environment)) <= {"PYTHONPATH", "LANG", "LC_CTYPE"}


def test_threads_get_their_own_answers(bounded: Bounded) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: bounded.call(double, number), range(100)))
    assert answers == [2 * number for number in range(100)]


def test_the_child_does_not_outlive_a_parent_that_is_killed() -> None:
    code = (
        "import os, sys\n"
        "from gateway.bounded import Bounded\n"
        "from tests.unit.costly import process\n"
        "bounded = Bounded()\n"
        "print(bounded.call(process), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    until(lambda: has_ended(child))
