"""What the tests of `gateway.bounded` run in a child. It imports this in the time of a call."""

from __future__ import annotations

import os
import re


def double(number: int) -> int:
    return 2 * number


def divide(number: int) -> float:
    return number / 0


def search_for_ever() -> bool:
    return re.match(r"(a+)+$", "a" * 64 + "b") is not None


def fill(megabytes: int) -> int:
    return len(bytes(megabytes << 20))


def process() -> int:
    return os.getpid()


def end_at_once() -> None:
    os._exit(3)


def environment() -> dict[str, str]:
    return dict(os.environ)


def something_that_stays_there() -> object:
    return lambda: None
