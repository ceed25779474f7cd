"""A network whose adapter kills the worker over one text, as a fault in a C library might."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from gateway.adapter import Adapter, ChannelConfig
from gateway.model import Part, Sent


class DeadlyConfig(ChannelConfig):
    sent: Path
    """A file with a line for each text that was sent."""


class Deadly(Adapter):
    Config = DeadlyConfig
    config: DeadlyConfig

    def send(self, part: Part) -> Sent:
        if part.text == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        with self.config.sent.open("a") as sent:
            sent.write(f"{part.text}\n")
        return Sent(part.id)
