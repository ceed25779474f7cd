"""Processes of the gateway that end at one step of their work, to the instruction.

The step is a function, wrapped in the process that is to die and nowhere else: the gateway itself
knows nothing of it. Processes are forked from a server that has everything imported, so that each
costs milliseconds.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

from werkzeug.serving import make_server

from gateway import config, worker
from gateway.chatwoot.client import Chatwoot
from gateway.config import Settings
from gateway.intake.doorbell import Doorbell
from gateway.lanes import Lanes, Ledger
from gateway.observability import logs
from gateway.web import wsgi
from tests.faults.cards import Cards

LEASE = 0.5

Moment = Literal["before", "after"]
Role = Literal["web", "worker"]

STEPS: dict[str, tuple[type, Callable[..., Any]]] = {
    "append": (Lanes, Lanes.append),
    "ring": (Doorbell, Doorbell.ring),
    "claim": (Lanes, Lanes.claim),
    "take": (Lanes, Lanes.take),
    "announce": (Lanes, Lanes.announce),
    "contact": (Chatwoot, Chatwoot.create_contact),
    "conversation": (Chatwoot, Chatwoot.create_conversation),
    "message": (Chatwoot, Chatwoot.create_message),
    "effect": (http.client.HTTPConnection, http.client.HTTPConnection.getresponse),
    "send": (Cards, Cards.send),
    "part": (Lanes, Lanes.record_part),
    "ack": (Lanes, Lanes.ack),
    "bury": (Lanes, Lanes.bury),
    "defer": (Lanes, Lanes.defer),
    "receipt": (Ledger, Ledger.record_receipt),
    "status": (Chatwoot, Chatwoot.update_status),
    "withdraw": (Ledger, Ledger.withdraw),
}
"""«effect» lies between a request that was written and its answer."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a process ends: at the `nth` call of a step, before it is made or after it returned."""

    name: str
    moment: Moment
    nth: int = 1
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.moment} {self.name}{'' if self.nth == 1 else f' {self.nth}'}"

    def set(self) -> None:
        """From now on this process ends there."""
        (owner, function), calls = STEPS[self.name], iter(range(1, sys.maxsize))

        def strike(moment: Moment, call: int) -> None:
            if (moment, call) == (self.moment, self.nth):
                # To this very thread: it must not run on until another one takes the signal.
                signal.pthread_kill(threading.get_ident(), self.signal)

        def step(first: Any, *args: Any, **more: Any) -> Any:
            # A GET changes nothing: only what is written counts as a request with an effect.
            counts = self.name != "effect" or first._method == "POST"
            call = next(calls) if counts else 0
            strike("before", call)
            result = function(first, *args, **more)
            strike("after", call)
            return result

        setattr(owner, function.__name__, step)


@dataclass(frozen=True, slots=True)
class Home:
    """What a process has to know."""

    redis_url: str
    folder: Path
    """Of the configuration, the log, and the network's box."""

    @property
    def file(self) -> Path:
        return self.folder / "channels.toml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def settings(self) -> Settings:
        """With leases shorter than anybody should configure, so that taking over takes no time."""
        loaded = config.load(self.file, {"REDIS_URL": self.redis_url})
        return replace(loaded, gateway=loaded.gateway.model_copy(update={"lease": LEASE}))


def run(role: Role, step: Step | None, home: Home, port: Connection) -> None:
    """Be a process of that role which ends at the step, if one is given."""
    os.dup2(os.open(home.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    if step is not None:
        step.set()
    if role == "worker":
        settings = home.settings()
        logs.configure(settings, role)
        worker.main(settings)
        return
    os.environ.update({"GATEWAY_CONFIG": str(home.file), "REDIS_URL": home.redis_url})
    server = make_server("127.0.0.1", 0, wsgi.app_from_environment(), threaded=True)
    port.send(server.server_port)
    server.serve_forever()


def forked_from_here() -> ForkServerContext:
    """Where such processes come from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
