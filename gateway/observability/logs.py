"""One structured line for each event, with every secret redacted.

A line is logfmt: `ts=… level=info role=worker event=posted message=… channel=…`. The same message
id stands in every line about a message, from its webhook to its receipt.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from types import TracebackType
from typing import TextIO
from urllib.parse import quote, quote_plus

from gateway.config import Settings

BLOT = "[secret]"
SHORTEST_SECRET = 4
"""Characters. Redacting a shorter one would mangle ordinary words."""

CHATTY = ("httpx", "httpcore", "urllib3", "telegram", "asyncio", "rq", "werkzeug", "websockets")
"""Libraries whose routine lines contain addresses (Telegram's include the token) or are noise."""

GATHER = 0.02
"""Seconds in which everyday lines gather, to be written together."""

_FIELDS = "gateway_fields"
_UNSEEN = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What a terminal obeys (C1), and what makes a line look like another one (bidi, zero width)."""
_PLAIN = re.compile(rf"[^\s\"=\\\x00-\x1f{_UNSEEN.pattern[1:-1]}]+")


def event(
    logger: logging.Logger,
    name: str,
    /,
    *,
    level: int = logging.INFO,
    error: BaseException | None = None,
    **fields: object,
) -> None:
    """Log that something happened: `event(logger, "posted", message=id, channel="my-bot")`.

    Fields that are None are left out. `error` adds what was raised, and where.
    """
    logger.log(level, name, exc_info=error, extra={_FIELDS: fields})


def format_time(seconds: float) -> str:
    """A Unix time as people and programs read it: 2026-01-31T23:59:59.000Z."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Redactor:
    """Blots out secrets in a text, also where they are quoted for an address, JSON or Python."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {way for secret in secrets for way in _spellings(secret)}
        longest_first = sorted(spellings, key=lambda word: (-len(word), word))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        return self._pattern.sub(BLOT, text)


class LogfmtFormatter(logging.Formatter):
    """Writes a record as one line. Secrets are blotted out last, so that none slips past."""

    def __init__(self, role: str, redact: Redactor) -> None:
        super().__init__()
        self._role = role
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": format_time(record.created),
            "level": record.levelname.lower(),
            "role": self._role,
        }
        line |= _content(record)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = f"{type(error).__name__}: {error}"
            line["trace"] = self.formatException(record.exc_info)
        return " ".join(
            f"{key}={_quoted(self._redact(str(value)))}"
            for key, value in line.items()
            if value is not None
        )


def worth_a_line(record: logging.LogRecord) -> bool:
    """False for everyday lines of chatty libraries; some of these set their own level, so that
    only a filter is sure."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in CHATTY


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream; of a line that cannot be written it tells the kind of error only,
    where `logging` would print the arguments, secrets and all.

    Everyday lines are written by a thread of its own, as many at a time as have come: who delivers
    does not wait for a pipe. From a warning on, all is written before the call returns.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()
        self._come: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        if not self.filter(record):
            return False
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno < logging.WARNING:
                self._hand_over()
            else:
                self.flush()
        except Exception:  # noqa: BLE001 (what it is, is told; nothing else may end here)
            self.handleError(record)
        return True

    def flush(self) -> None:
        """Write what has come; `logging` sees to it at the end of the process."""
        with self._writing:
            if text := "".join(self._lines.popleft() for _ in range(len(self._lines))):
                self.stream.write(text)
            # Not by way of `logging`'s own lock: whoever ends the process holds that one.
            self.stream.flush()

    def _hand_over(self) -> None:
        if self._thread is None:
            with self._writing:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        if self._come.empty():
            self._come.put(None)

    def _run(self) -> None:
        while True:
            self._come.get()
            time.sleep(GATHER)
            with suppress(OSError, ValueError):  # whoever reads has gone, and sees nothing more
                self.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, BrokenPipeError):
            self.stream.write(f"level=error event=unloggable logger={record.name} {kind=}\n")


def configure(settings: Settings, role: str) -> None:
    """Send every log line of this process to stderr, redacted; threads' deaths too.

    May be called again, for instance after a fork: the newest call counts.
    """
    root = logging.getLogger()
    root.handlers[:] = [make_handler(settings, role)]
    root.setLevel(logging.INFO)
    _adopt("gunicorn.error", "rq.worker")
    logging.captureWarnings(capture=True)
    _log_uncaught_errors()


def make_handler(settings: Settings, role: str) -> LogHandler:
    """Writes lines to stderr as it is now, redacted."""
    handler = LogHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter(role, Redactor(settings.secret_values())))
    handler.addFilter(worth_a_line)
    return handler


def _adopt(*names: str) -> None:
    """Make loggers with handlers of their own write through ours."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _log_uncaught_errors() -> None:
    logger = logging.getLogger("gateway")

    def in_main(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            event(logger, "crashed", level=logging.CRITICAL, error=error)

    def in_thread(crash: threading.ExceptHookArgs) -> None:
        name = crash.thread.name if crash.thread else None
        level = logging.CRITICAL
        event(logger, "thread_crashed", level=level, error=crash.exc_value, thread=name)

    def unraisable(crash: sys.UnraisableHookArgs) -> None:
        event(logger, "unraisable", level=logging.ERROR, error=crash.exc_value)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def _content(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, _FIELDS, None)
    if isinstance(fields, Mapping):
        return {"event": record.getMessage(), **fields}
    return {"event": "log", "logger": record.name, "text": record.getMessage()}


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _spellings(secret: str) -> set[str]:
    if len(secret) < SHORTEST_SECRET:
        return set()
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
