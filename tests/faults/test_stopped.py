"""A worker that is stopped for longer than its lease, as by a sleeping laptop or a full host, and
goes on as if nothing had been: it must write nothing more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.env import Env
from tests.faults.stepping import Step
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="only Linux tells there that a process is stopped"
)


def stopped(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat").read_text("ascii")
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.take_over(env.delivered("in", 1))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_towards_chatwoot(env: Env, moment: str) -> None:
    env.customer_writes("one", "two")
    step = Step("message", "before" if moment == "before" else "after", signal=signal.SIGSTOP)
    with env.worker(step) as worker:
        assert worker.pid
        until(lambda: stopped(worker.pid or 0))
        env.take_over(env.delivered("in", 3))
        posts = env.posts()
        os.kill(worker.pid, signal.SIGCONT)
        until(lambda: "lease_lost" in env.home.log.read_text())
    assert env.shown() == ["hello", "one", "two"]
    assert env.posts() == posts == 3


def test_towards_the_network(env: Env) -> None:
    env.agent_writes("one", "two")
    with env.worker(Step("announce", "after", signal=signal.SIGSTOP)) as worker:
        assert worker.pid
        until(lambda: stopped(worker.pid or 0))
        env.take_over(env.delivered("out", 2))
        os.kill(worker.pid, signal.SIGCONT)
        until(lambda: "lease_lost" in env.home.log.read_text())
    assert env.sent() == ["one", "two"]
