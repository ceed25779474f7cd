from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.errors import Unreachable
from gateway.relay.cached import Cached


def answers(*values: int | Exception) -> Callable[[], int]:
    given = iter(values)

    def ask() -> int:
        value = next(given)
        if isinstance(value, Exception):
            raise value
        return value

    return ask


def test_a_fresh_value_is_not_asked_for_again() -> None:
    cached = Cached(answers(1, 2), seconds=60.0)
    assert [cached.get(), cached.get()] == [1, 1]


def test_an_old_value_is_asked_for_again() -> None:
    cached = Cached(answers(1, 2), seconds=0.0)
    assert [cached.get(), cached.get()] == [1, 2]


def test_an_old_value_serves_while_asking_fails() -> None:
    cached = Cached(answers(1, Unreachable("away"), 2), seconds=0.0)
    assert [cached.get(), cached.get(), cached.get()] == [1, 1, 2]


def test_without_an_old_value_the_error_is_raised_and_asking_goes_on() -> None:
    cached = Cached(answers(Unreachable("away"), 2))
    with pytest.raises(Unreachable):
        cached.get()
    assert cached.get() == 2
