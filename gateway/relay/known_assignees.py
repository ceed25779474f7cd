"""The teams and agents of an account, asked now and then, to find those that a channel names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.chatwoot.admin import Admin, Agent, Team
from gateway.chatwoot.assignees import agent_called, team_called
from gateway.errors import DeliveryError

T = TypeVar("T")

FRESH = 300.0
"""Seconds: a team that is made, or renamed, is found within that."""


class KnownAssignees:
    """One account's, as Chatwoot listed them at most five minutes ago. Threads may share it."""

    def __init__(self, admin: Admin) -> None:
        self._teams: _Known[Team] = _Known(admin.teams)
        self._agents: _Known[Agent] = _Known(admin.agents)

    def team(self, wanted: int | str) -> Team | None:
        """Raises a `DeliveryError` if Chatwoot cannot be asked and never was."""
        return team_called(self._teams.now(), wanted)

    def agent(self, wanted: int | str) -> Agent | None:
        """Raises a `DeliveryError` if Chatwoot cannot be asked and never was."""
        return agent_called(self._agents.now(), wanted)


class _Known(Generic[T]):
    def __init__(self, ask: Callable[[], tuple[T, ...]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked = 0.0
        self._list: tuple[T, ...] | None = None

    def now(self) -> tuple[T, ...]:
        with self._lock:
            if self._list is None or time.monotonic() - self._asked > FRESH:
                self._list = self._newly()
                self._asked = time.monotonic()
            return self._list

    def _newly(self) -> tuple[T, ...]:
        try:
            return self._ask()
        except DeliveryError:
            if self._list is None:
                raise
            return self._list  # an old list is better than to begin without
