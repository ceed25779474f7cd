"""Switches that break what the gateway depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.faults import Fault, Kind
from sandbox.stand_ins import StandIns

SLOW = 4.0
"""Seconds that Telegram takes when it is slow."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One switch."""

    label: str
    effect: str
    """What happens while it is on, in a sentence."""
    begin: Callable[[], None]
    end: Callable[[], None]


class Troubles:
    """The switches, by name, and which of them are on."""

    def __init__(self, stand_ins: StandIns) -> None:
        self._switches = _switches(stand_ins)
        self._on: set[str] = set()

    def switch_on(self, name: str) -> None:
        """Raises KeyError for an unknown switch."""
        switch = self._switches[name]
        if name not in self._on:
            switch.begin()
            self._on.add(name)

    def switch_off(self, name: str) -> None:
        """Raises KeyError for an unknown switch."""
        switch = self._switches[name]
        if name in self._on:
            switch.end()
            self._on.discard(name)

    def shown(self) -> list[dict[str, object]]:
        return [
            {"name": name, "label": each.label, "effect": each.effect, "on": name in self._on}
            for name, each in self._switches.items()
        ]


def _switches(stand_ins: StandIns) -> Mapping[str, Trouble]:
    return {
        "chatwoot-down": Trouble(
            "Chatwoot down",
            "Chatwoot does not respond. Customers' messages wait; replies still go out.",
            stand_ins.chatwoot.go_away,
            stand_ins.chatwoot.come_back,
        ),
        "telegram-slow": Trouble(
            "Telegram slow",
            f"Every message to Telegram takes {SLOW:g} s. The other channels are not affected.",
            lambda: stand_ins.telegram.faults.add(
                Fault(Kind.LATENCY, path="/bot*/sendMessage", times=None, seconds=SLOW)
            ),
            stand_ins.telegram.faults.clear,
        ),
        "twilio-busy": Trouble(
            "Twilio answers 429",
            "Twilio refuses replies with «too many requests». They wait and are sent later.",
            lambda: stand_ins.twilio.refuse(429, 20429, "Too Many Requests", times=None),
            stand_ins.twilio.faults.clear,
        ),
    }
