"""An SMTP server on loopback that answers by a script. For what a well-behaved one never says."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        try:
            self._talk()
        except OSError:
            return

    def _talk(self) -> None:
        if not self._say("connect", "220 ready"):
            return
        for line in self.rfile:
            word = line.split()[0].upper().decode()
            self.server.script.heard.append(word)
            if not self._say(word, "354 go on" if word == "DATA" else "250 ok"):
                return
            if word == "DATA":
                while self.rfile.readline() not in {b".\r\n", b""}:
                    continue
                if not self._say("mail", "250 taken"):
                    return

    def _say(self, what: str, usual: str) -> bool:
        """False if the script wants the connection closed."""
        answer = self.server.script.answers.get(what, usual)
        if answer == "hang up":
            return False
        if answer == "drip":
            while not self.server.script.stopped.wait(0.02):
                self.wfile.write(b"2")
        self.wfile.write(answer.encode() + b"\r\n")
        return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    script: SmtpScript


class SmtpScript:
    """`answers`: a command, «connect» or «mail» (the end of one) → what is said; or «hang up»,
    or «drip»."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers
        self.heard: list[str] = []
        self.stopped = threading.Event()

    def __enter__(self) -> SmtpScript:
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.script = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])
