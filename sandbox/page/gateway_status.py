"""What the gateway is doing: which of its processes run, what waits, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.running_gateway import ROLES, RunningGateway

JSON = dict[str, Any]
LOOK_EVERY = 0.5
"""Seconds."""
WORTH_TELLING = 1.0
"""Seconds after which the page shows that a message waits."""
CHANNELS = {"telegram": "Telegram", "sms": "SMS", "email": "e-mail"}
TARGETS = {"in": "to Chatwoot", "out": "to the customer", "status": "reports to Chatwoot"}


class GatewayStatus:
    """Looks at the gateway now and then, and calls `changed` when it looks different."""

    def __init__(self, gateway: RunningGateway, changed: Callable[[], None]) -> None:
        self._gateway = gateway
        self._changed = changed
        self._stop = threading.Event()
        self._shown: JSON = {"roles": dict.fromkeys(ROLES, False), "waiting": [], "gates": []}
        self._thread = threading.Thread(target=self._run, name="gateway-status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def shown(self) -> JSON:
        return self._shown

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            look = self._look()
            if look != self._shown:
                self._shown = look
                self._changed()

    def _look(self) -> JSON:
        alive = self._gateway.processes()
        told = self._gateway.backlog()
        roles = {role: role in alive and (role != "web" or told is not None) for role in ROLES}
        if told is None:  # the web process is down: show what waited when it last answered
            return {**self._shown, "roles": roles}
        return {"roles": roles, "waiting": list(_waiting(told)), "gates": list(_gates(told))}


def _waiting(told: Mapping[str, Any]) -> Iterator[JSON]:
    for channel, ages in sorted(told.get("oldest_message_seconds", {}).items()):
        for direction, age in sorted(ages.items()):
            if age >= WORTH_TELLING:
                what = f"{CHANNELS.get(channel, channel)} {TARGETS.get(direction, direction)}"
                yield {"what": what, "seconds": int(age)}


def _gates(told: Mapping[str, Any]) -> Iterator[JSON]:
    for gate in told.get("closed_gates", []):
        yield {"name": gate["destination"], "state": gate["state"], "reason": gate["reason"]}
