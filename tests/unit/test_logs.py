from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.observability.logs import BLOT, LogfmtFormatter, LogHandler, Redactor, event

ROOT = Path(__file__).parents[2]
SECRET = 'to"k:en/é secret'


class Stream(io.StringIO):
    """Everything that was logged is in it."""

    handler: logging.Handler | None = None

    def getvalue(self) -> str:
        if self.handler is not None:
            self.handler.flush()
        return super().getvalue()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def logger(stream: Stream) -> Iterator[logging.Logger]:
    logger = logging.Logger("test")
    handler = stream.handler = LogHandler(stream)
    handler.setFormatter(LogfmtFormatter("worker", Redactor({SECRET, "abc"})))
    logger.addHandler(handler)
    yield logger
    handler.close()


def _fail(text: str) -> None:
    raise ValueError(text)


def test_an_event_is_one_line(logger: logging.Logger, stream: io.StringIO) -> None:
    event(logger, "posted", message="m1", text='two\nlines "=', nothing=None, empty="", count=3)
    line = stream.getvalue()
    assert line.startswith("ts=2")
    assert line.endswith(
        'level=info role=worker event=posted message=m1 text="two\\nlines \\"=" empty="" count=3\n'
    )
    assert line.count("\n") == 1


def test_an_ordinary_log_call_becomes_a_line_too(
    logger: logging.Logger, stream: io.StringIO
) -> None:
    logger.warning("%s is odd\r\nlevel=info event=forged", "this")
    assert stream.getvalue().count("\n") == 1
    assert r'event=log logger=test text="this is odd\r\nlevel=info' in stream.getvalue()


@pytest.mark.parametrize(
    "spelling", [SECRET, quote(SECRET), quote(SECRET, safe=""), json.dumps(SECRET), repr([SECRET])]
)
def test_no_spelling_of_a_secret_passes(
    logger: logging.Logger, stream: io.StringIO, spelling: str
) -> None:
    logger.info("https://x/bot%s/send", spelling)
    event(logger, spelling, field=spelling)
    try:
        _fail(spelling)
    except ValueError as error:
        event(logger, "failed", error=error)
    written = stream.getvalue()
    assert written.count(BLOT) == 5, "message, name, field, error and trace"
    assert "k:en" not in written
    assert "k%3Aen" not in written


def test_short_secrets_do_not_eat_words(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("abcdef")
    assert "text=abcdef" in stream.getvalue()


def test_an_error_comes_with_its_trace_on_the_same_line(
    logger: logging.Logger, stream: io.StringIO
) -> None:
    try:
        _fail("bad")
    except ValueError as error:
        event(logger, "failed", level=logging.ERROR, error=error, message="m1")
    line = stream.getvalue()
    assert 'level=error role=worker event=failed message=m1 error="ValueError: bad"' in line
    assert 'trace="Traceback' in line
    assert line.count("\n") == 1


def test_a_line_that_cannot_be_made_shows_no_arguments(
    logger: logging.Logger, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.info("%d", SECRET)
    assert "event=unloggable" in stream.getvalue()
    assert "k:en" not in stream.getvalue() + "".join(capsys.readouterr())


def test_what_nobody_catches_is_logged_redacted(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(
        """
        [gateway]
        public_url = "https://gw.example.org"
        secret = "0123456789abcdef"
        [chatwoot.main]
        url = "https://chat.example.org"
        account = 1
        token = "very-secret-token"
        [channels.a]
        adapter = "gateway_test_adapter:Plain"
        inbox = 1
        """
    )
    adapter = "from gateway.adapter import Adapter\nclass Plain(Adapter): ...\n"
    (tmp_path / "gateway_test_adapter.py").write_text(adapter)
    program = f"""
import logging, sys, threading, warnings
sys.path.insert(0, {str(tmp_path)!r})
from pathlib import Path
from gateway import config
from gateway.observability import logs
noisy = logging.getLogger("gunicorn.error")
noisy.addHandler(logging.StreamHandler())
logs.configure(config.load(Path({str(path)!r}), {{}}), "web")
noisy.error("request /very-secret-token")
logging.getLogger("httpx").info("GET /very-secret-token")
warnings.warn("very-secret-token")
def fail(): raise RuntimeError("very-secret-token")
thread = threading.Thread(target=fail, name="poller")
thread.start(); thread.join()
class Odd:
    def __del__(self): fail()
Odd()
fail()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    lines = done.stderr.splitlines()
    events = [line.split("event=")[1].split()[0] for line in lines]
    assert events == ["log", "log", "thread_crashed", "unraisable", "crashed"], done.stderr
    assert all("role=web" in line and BLOT in line for line in lines)
    assert "very-secret" not in done.stderr + done.stdout
    assert done.returncode == 1


class Slow(io.StringIO):
    """A stream that takes nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def write(self, text: str) -> int:
        assert self.may.wait(10)
        return super().write(text)


@pytest.fixture
def slow() -> Iterator[tuple[Slow, logging.Logger]]:
    stream, logger = Slow(), logging.Logger("test")
    handler = LogHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    yield stream, logger
    stream.may.set()
    handler.close()


def test_nobody_waits_for_a_slow_reader(slow: tuple[Slow, logging.Logger]) -> None:
    stream, logger = slow
    for number in range(20):
        logger.info(number)
    assert stream.getvalue() == ""
    stream.may.set()
    logger.handlers[0].flush()
    assert stream.getvalue().split() == [str(number) for number in range(20)]


def test_a_warning_is_written_before_anything_else_happens(
    slow: tuple[Slow, logging.Logger],
) -> None:
    stream, logger = slow
    stream.may.set()
    logger.info("before")
    logger.warning("and now")
    assert stream.getvalue() == "before\nand now\n"


def test_the_end_of_the_process_and_the_thread_that_writes_do_not_wait_for_each_other(
    slow: tuple[Slow, logging.Logger],
) -> None:
    stream, logger = slow
    stream.may.set()
    handler = logger.handlers[0]
    handler.acquire()  # as logging.shutdown does
    try:
        writer = threading.Thread(target=handler.flush, daemon=True)
        writer.start()
        writer.join(5)
        assert not writer.is_alive()
    finally:
        handler.release()


def test_nothing_unseen_reaches_a_terminal() -> None:
    quoted = LogfmtFormatter("web", Redactor([])).format(
        logging.makeLogRecord({"msg": "a\x9bb\u202ec\u200bd", "levelno": 20, "levelname": "INFO"})
    )
    assert quoted.isascii()
