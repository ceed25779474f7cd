"""What reading and sending have in common: certificates, total deadlines, and who may go plain."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Security = Literal["ssl", "starttls", "plain"]


def on_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine itself."""
    if host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def verified_context() -> ssl.SSLContext:
    """TLS that checks the server's certificate: neither imaplib nor smtplib does by itself."""
    return ssl.create_default_context()


@contextmanager
def within(seconds: float, sock: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut the socket when `seconds` have passed: a server that drips a byte now and then never
    runs into a socket's own time-out.

    Raises TimeoutError if that happened, whatever was made of what had come until then.
    """
    expired = threading.Event()

    def shut() -> None:
        expired.set()
        if (open_socket := sock()) is not None:
            try:
                # Not SSLSocket.shutdown: it would throw away the TLS state that a reader uses.
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
            except OSError:
                return  # closed already

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if expired.is_set():
            raise TimeoutError(f"not done within {seconds} s")
