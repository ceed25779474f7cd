"""Commands of many threads in one round trip to Redis.

A worker has more threads than connections. Whoever finds a connection free takes along what the
others want to have sent: one write, one answer and, behind `appendfsync always`, one wait for the
disk serve them all. Alone, a thread sends its command at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import redis

Command: TypeAlias = tuple[str | int | float, ...]

AT_ONCE = 1
"""Round trips under way at once. A second one would only make both carry less, and every round trip
costs its process more than the commands in it."""
MOST = 64
"""Commands in one round trip: what one of them waits for the others must stay short."""

INTERRUPTED = redis.ConnectionError("the thread that asked was interrupted")


class _Call:
    """One thread's command, and its answer once there is one."""

    __slots__ = ("answer", "command", "done", "signal")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.signal: SimpleQueue[None] = SimpleQueue()
        """Something happened: the answer is there, or a connection is free."""
        self.answer: Any = None
        self.done = False

    def end(self, answer: Any) -> None:
        self.answer = answer
        self.done = True
        self.signal.put(None)


class Batcher:
    """Sends commands, those of several threads together. Each must bear repetition."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._execute: Callable[..., Any] = client.execute_command
        self._waiting: deque[_Call] = deque()
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(AT_ONCE):
            self._free.put(None)

    def __call__(self, *command: str | int | float) -> Any:
        """The command's answer. Raises redis.RedisError."""
        call = _Call(command)
        self._waiting.append(call)
        while not call.done:
            try:
                self._free.get_nowait()
            except Empty:
                call.signal.get()
            else:
                self._send()
        if isinstance(call.answer, redis.RedisError):
            raise copy(call.answer)  # several threads may have the same one
        return call.answer

    def _send(self) -> None:
        """One round trip, with what waits now; then somebody else's turn."""
        calls = self._take_waiting()
        answers: Iterable[Any] = repeat(INTERRUPTED)
        try:
            answers = self._execute_all(calls)
        except redis.RedisError as error:
            answers = repeat(error)
        finally:
            self._free.put(None)
            for call, answer in zip(calls, answers, strict=False):
                call.end(answer)
            self._wake_next()

    def _take_waiting(self) -> list[_Call]:
        calls: list[_Call] = []
        while self._waiting and len(calls) < MOST:
            try:
                calls.append(self._waiting.popleft())
            except IndexError:  # another thread took the last one
                break
        return calls

    def _execute_all(self, calls: list[_Call]) -> list[Any]:
        if len(calls) <= 1:
            return [self._execute(*call.command) for call in calls]
        with self._client.pipeline(transaction=False) as pipeline:
            append: Callable[..., Any] = pipeline.execute_command
            for call in calls:
                append(*call.command)
            return pipeline.execute(raise_on_error=False)

    def _wake_next(self) -> None:
        """Whoever came while no connection was free waits for this."""
        try:
            self._waiting[0].signal.put(None)
        except IndexError:
            return
