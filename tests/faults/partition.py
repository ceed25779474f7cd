"""A network between a process and its Redis that can be cut, as a firewall or a broken cable does:
nothing that is sent arrives, and nobody answers a call."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from urllib.parse import urlsplit

FILLERS = 3
"""Calls that nobody answers until the listener takes no further ones: Linux then drops them."""


class Network:
    """Passes on what comes to `url` to a server at a Unix socket, unless it is cut."""

    def __init__(self, server: str) -> None:
        """`server`: the path of its socket."""
        self._server = server
        self._passes = threading.Event()
        self._passes.set()
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    @classmethod
    def before(cls, url: str) -> Network:
        """One that leads to the server at this address, which names its socket."""
        return cls(urlsplit(url).path)

    def __enter__(self) -> Network:
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._passes.set()
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._acceptor.join()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """As long as this lasts nothing passes, either way. What was sent arrives afterwards."""
        self._passes.clear()
        fillers = [self._fill() for _ in range(FILLERS)]
        try:
            yield
        finally:
            for filler in fillers:
                filler.close()
            self._passes.set()

    def _fill(self) -> socket.socket:
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(self._listener.getsockname())
        return filler

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                client, _ = self._listener.accept()
                self._passes.wait()
                server = socket.socket(socket.AF_UNIX)
                self._open += (client, server)
                with contextlib.suppress(OSError):
                    server.connect(self._server)
                    for one, other in ((client, server), (server, client)):
                        threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := one.recv(65536):
                self._passes.wait()
                other.sendall(some)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
