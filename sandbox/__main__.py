"""`python -m sandbox`: a gateway at work among stand-ins, and a page that plays both sides."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from gateway.processes.supervisor import CannotStart as CannotStartGateway
from gateway.processes.supervisor import locked
from gateway.storage.embedded import data_folder
from sandbox.page import PageServer
from sandbox.page.changes import Changes
from sandbox.page.desk import Desk
from sandbox.page.devices import devices_in
from sandbox.page.gateway_status import GatewayStatus
from sandbox.page.scene import Scene
from sandbox.page.troubles import Troubles
from sandbox.people import People
from sandbox.ports import Ports, PortTaken, keep_ports
from sandbox.running_gateway import NotStarted, RunningGateway
from sandbox.stand_ins import StandIns
from sandbox.wiring import wire

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Signals = queue.SimpleQueue[int]


class CannotStart(Exception):
    """The sandbox cannot be started. The text says why."""


def main() -> int:
    """Run until Ctrl-C or SIGTERM. Errors go to stderr."""
    # aiosmtpd warns of what it will change itself one day.
    logging.getLogger("mail").setLevel(logging.ERROR)
    try:
        folder = data_folder() / "sandbox"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Before the first write: what another sandbox works with must stay as it is.
        with locked(folder), catch_signals() as signals:
            run(folder, signals)
    except CannotStartGateway as error:
        print(f"sandbox: {error}.", file=sys.stderr)
        return 1
    except (CannotStart, NotStarted, PortTaken) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sandbox: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path, signals: Signals) -> None:
    """Start everything, print the address of the page, wait for a signal, stop everything.

    Raises `CannotStart`, `NotStarted`, `PortTaken`, OSError.
    """
    print("Starting the stand-ins and the gateway …", flush=True)
    ports = keep_ports(folder / "ports.json", _wanted_ports(), _named_ports(), print)
    stand_ins = _stand_ins(folder, ports)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stand_ins.running())
        wiring = wire(stand_ins, folder, f"http://127.0.0.1:{ports.gateway}")
        gateway = RunningGateway(wiring, folder, ports.gateway)
        stack.callback(gateway.stop)
        gateway.start()
        changes = Changes()
        gateway_status = GatewayStatus(gateway, changes.note)
        people = People(wiring.inboxes, folder / "customers.json")
        scene = Scene(
            stand_ins=stand_ins,
            people=people,
            devices=devices_in(stand_ins),
            desk=Desk(stand_ins.chatwoot, wiring),
            troubles=Troubles(stand_ins),
            gateway_status=gateway_status,
            gateway=gateway,
        )
        scene.welcome_all()
        feeds = (stand_ins.chatwoot, stand_ins.telegram, stand_ins.twilio, stand_ins.mail)
        changes.follow(each.subscribe() for each in feeds)
        page = PageServer(scene, changes, ports.page)
        page.start()
        stack.callback(page.stop)
        gateway.wait_until_ready()
        gateway_status.start()
        stack.callback(gateway_status.stop)
        print(f"\n    Open {page.url}\n", flush=True)
        signals.get()
        print("Stopping …", flush=True)


@contextlib.contextmanager
def catch_signals() -> Iterator[Signals]:
    """A queue of the signals that ask the process to stop."""
    signals: Signals = queue.SimpleQueue()

    def note(number: int, frame: FrameType | None) -> None:
        signals.put(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield signals
    finally:
        for number, what in before.items():
            signal.signal(number, what)


def _stand_ins(folder: Path, ports: Ports) -> StandIns:
    try:
        return StandIns(folder, ports)
    except (KeyError, TypeError, ValueError) as error:
        raise CannotStart(
            f"the stand-ins' files in {folder} cannot be read ({error}). "
            "Delete the folder to start afresh."
        ) from error


def _wanted_ports() -> Ports:
    """The usual ports, or those that SANDBOX_PORT (the page's) and PORT (the gateway's) name."""
    return Ports(page=_port("SANDBOX_PORT", Ports().page), gateway=_port("PORT", Ports().gateway))


def _named_ports() -> Mapping[str, str]:
    """Port → the variable that names it, if one does."""
    variables = {"page": "SANDBOX_PORT", "gateway": "PORT"}
    named = {port: name for port, name in variables.items() if os.environ.get(name, "0") != "0"}
    return {port: name for port, name in named.items() if os.environ[name]}


def _port(name: str, usual: int) -> int:
    text = os.environ.get(name) or str(usual)
    if text.isascii() and text.isdigit() and int(text) < 65536:
        return int(text)
    raise CannotStart(f"{name} must be a port from 0 to 65535, not {text!r}")


if __name__ == "__main__":
    sys.exit(main())
