"""Reading a mailbox by IMAP: what is new since a cursor, waiting with IDLE when nothing is."""

from __future__ import annotations

import imaplib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BufferedReader
from selectors import EVENT_READ, PollSelector
from typing import Any

from imap_tools.errors import ImapToolsError, MailboxLoginError
from pydantic import SecretStr

from adapters.email.connections import Security, within
from adapters.email.errors import login_meaning
from adapters.email.files import Place, decode
from adapters.email.imap import Mailbox, open_mailbox
from adapters.email.slimming import Slim, slimmed
from gateway.errors import Permanent, ServerTrouble, Unreachable
from gateway.model import Batch, Unread

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LARGEST_BATCH = 50
PIECE = 64 * 1024
FETCHED_AT_ONCE = 1 << 20
"""Bytes. A larger mail is fetched in pieces of this size."""
LARGEST_MAIL = 40 << 20
"""Bytes. Few servers take larger ones, and none of those that are well known."""
SLOWEST_LINE = 200_000
"""Bytes a second: a large mail gets so much more time than a small one."""
SIZE = re.compile(rb"RFC822\.SIZE (\d+)", re.IGNORECASE)
QUOTED = re.compile(rb'BODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"', re.IGNORECASE)
WITHOUT_IDLE = 10.0
"""Seconds between two looks into a mailbox that cannot tell of new mail."""
LONGEST_RESCAN = 6 * 86400.0
"""Seconds. What the gateway has seen it knows for seven days: a rescan must not go behind that."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder is read. UIDs count only under the UIDVALIDITY they were given under."""

    validity: int
    uid: int
    """The highest UID that was read."""
    at: int
    """When that was, in Unix seconds."""
    since: int = 0
    """Unix seconds: only what came after is read, as long as a rescan lasts; else 0."""

    def __str__(self) -> str:
        return f"{self.validity}:{self.uid}:{self.at}:{self.since}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises ValueError if `text` is not a cursor."""
        return cls(*(int(number) for number in text.split(":")))


class Inbox:
    """One folder, over a connection that is kept from poll to poll. Threads that share it wait
    for each other."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        username: str,
        password: SecretStr,
        folder: str,
        deadline: float,
        idle: float,
    ) -> None:
        self._host, self._port, self._security = host, port, security
        self._username, self._password = username, password
        self._folder = folder
        self._deadline = deadline
        self._idle = idle
        self._mailbox: Mailbox | None = None
        self._state: dict[str, int] = {}
        self._idles = False
        self._closed = threading.Event()
        self._using = threading.RLock()

    def poll(self, cursor: str | None) -> Batch:
        """The first poll ever reads nothing: it notes where the folder ends now."""
        with self._connect() as mailbox:
            if cursor is None:
                return Batch((), str(Cursor(self._validity, self._newest, int(time.time()))))
            known = self._still_valid(Cursor.read(cursor))
            uids = self._search(mailbox, known)
            if not uids:
                self._wait(mailbox)
                uids = self._search(mailbox, known)
            return self._fetch_batch(known, uids)

    def check(self) -> str:
        """Log in and look at the folder. Returns a line for the log."""
        with self._connect():
            return f"reading {self._folder} on {self._host}"

    def close(self) -> None:
        """Give up the connection; a poll that waits on it ends."""
        self._closed.set()
        self._drop()

    def _drop(self) -> None:
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            try:
                mailbox.client.shutdown()
            except (imaplib.IMAP4.error, OSError):
                return  # it was lost already

    @property
    def _validity(self) -> int:
        return self._state["UIDVALIDITY"]

    @property
    def _newest(self) -> int:
        return self._state["UIDNEXT"] - 1

    def _still_valid(self, cursor: Cursor) -> Cursor:
        """After a change of UIDVALIDITY all UIDs are void: read again what came since a day before
        the last batch. What was seen already is dropped later, by its Message-ID."""
        if cursor.validity == self._validity:
            return cursor
        since = max(cursor.at - 86400, time.time() - LONGEST_RESCAN)
        return Cursor(self._validity, 0, cursor.at, int(since))

    def _search(self, mailbox: Mailbox, cursor: Cursor) -> list[int]:
        criteria = f"UID {cursor.uid + 1}:*"
        if cursor.since:
            criteria += f" SINCE {_imap_date(cursor.since)}"
        with within(self._deadline, lambda: mailbox.client.sock):
            found = (int(uid) for uid in mailbox.uids(criteria, charset=None))
            # «n:*» names the last mail even if its UID is below n (RFC 3501, 6.4.8).
            return sorted(uid for uid in found if uid > cursor.uid)

    def _wait(self, mailbox: Mailbox) -> None:
        if not self._idles:
            self._closed.wait(min(self._idle, WITHOUT_IDLE))
            mailbox.client.noop()
            return
        # Only whether something came is asked. What it was is read when IDLE ends, in whole lines:
        # idle.poll() would take half a line for a broken connection.
        with within(self._idle + self._deadline, lambda: mailbox.client.sock), mailbox.idle:
            if not _has_buffered(mailbox.client):
                wait_for_data(mailbox.client.sock, self._idle)

    def _fetch_batch(self, cursor: Cursor, uids: list[int]) -> Batch:
        if not uids:
            return Batch((), str(cursor))
        chosen = uids[:LARGEST_BATCH]
        found = (f"{self._validity}:{uid}" for uid in chosen)
        items = tuple(Unread(f"mail:{where}", where) for where in found)
        read = replace(cursor, uid=chosen[-1], at=int(time.time()))
        return Batch(items, str(read if len(chosen) < len(uids) else replace(read, since=0)))

    def fetch(self, where: str) -> Slim | None:
        """The mail of an `Unread`, without the bulk of its files; None if it is not there any more.

        Raises `Permanent` if it is too large, or if the server refuses to hand it over.
        """
        validity, uid = map(int, where.split(":"))
        with self._connect() as mailbox:
            if validity != self._validity or (size := self._size(mailbox, uid)) is None:
                return None
            if size > LARGEST_MAIL:
                megabytes = LARGEST_MAIL >> 20
                raise Permanent(
                    f"The mail has {size >> 20} MB, and at most {megabytes} MB are read: it is "
                    f"in the mailbox, as UID {uid}"
                )
            with within(self._deadline + size / SLOWEST_LINE, lambda: mailbox.client.sock):
                return slimmed(_pieces(mailbox, uid, size))

    def _size(self, mailbox: Mailbox, uid: int) -> int | None:
        with within(self._deadline, lambda: mailbox.client.sock):
            answer = _fetch(mailbox, uid, "RFC822.SIZE")
        texts = (line[0] if isinstance(line, tuple) else line for line in answer)
        found = next(filter(None, (SIZE.search(text) for text in texts if text)), None)
        return int(found[1]) if found else None

    def open(self, place: Place) -> Iterator[bytes]:
        """A file of a mail. Raises `Permanent` if the mail is not in the folder any more."""
        with self._connect() as mailbox:
            content = None
            if place.validity == self._validity:
                with within(self._deadline, lambda: mailbox.client.sock):
                    content = _literal(_fetch(mailbox, place.uid, f"BODY.PEEK[{place.section}]"))
        if content is None:
            raise Permanent("The mail with this file has been moved or deleted")
        data = decode(content, place.encoding)
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]

    @contextmanager
    def _connect(self) -> Iterator[Mailbox]:
        with self._using, self._meaning():
            if self._mailbox is None:
                self._mailbox = self._open()
            yield self._mailbox

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        """Give up the connection if something goes wrong on it, and raise the gateway's error."""
        try:
            yield
        except MailboxLoginError as error:
            self._drop()
            raise login_meaning(error, self._host) from error
        except (ImapToolsError, imaplib.IMAP4.error, OSError) as error:
            self._drop()
            detail = f"{type(error).__name__}: {error}"
            raise Unreachable(
                f"The mailbox on {self._host} cannot be read", detail=detail
            ) from error
        except (LookupError, TypeError, ValueError) as error:
            self._drop()
            detail = f"{type(error).__name__}: {error}"
            raise ServerTrouble(
                f"{self._host} sent an answer that makes no sense", detail=detail
            ) from error

    def _open(self) -> Mailbox:
        mailbox = open_mailbox(self._host, self._port, self._security, deadline=self._deadline)
        try:
            with within(self._deadline, lambda: mailbox.client.sock):
                mailbox.login(self._username, self._password.get_secret_value(), None)
                # Some servers name IDLE only to those who have logged in.
                self._idles = b"IDLE" in mailbox.client.capability()[1][0].upper().split()
                self._state = mailbox.folder.status(self._folder, ["UIDVALIDITY", "UIDNEXT"])
                mailbox.folder.set(self._folder, readonly=True)
        except BaseException:
            mailbox.client.shutdown()
            raise
        return mailbox


def _pieces(mailbox: Mailbox, uid: int, size: int) -> Iterator[bytes]:
    """A mail, whole, in pieces of bounded size. Some servers are wrong about a mail's size."""
    if size <= FETCHED_AT_ONCE:
        yield _literal(_fetch(mailbox, uid, "BODY.PEEK[]")) or b""
        return
    start, piece = 0, b""
    while start == 0 or (len(piece) == FETCHED_AT_ONCE and start < 2 * LARGEST_MAIL):
        piece = _literal(_fetch(mailbox, uid, f"BODY.PEEK[]<{start}.{FETCHED_AT_ONCE}>")) or b""
        yield piece
        start += FETCHED_AT_ONCE


def _fetch(mailbox: Mailbox, uid: int, what: str) -> list[Any]:
    """Raises `Permanent` if the server says no."""
    verdict, answer = mailbox.client.uid("FETCH", str(uid), f"({what})")
    if verdict != "OK":
        raise Permanent(
            f"The mail server refuses to hand it over: it is in the mailbox, as UID {uid}",
            detail=repr(answer)[:200],
        )
    return answer


def _literal(answer: list[Any]) -> bytes | None:
    """The content of a part in the answer to FETCH; None if the mail or the part does not exist.

    Servers send a literal; a short content may come as a quoted string as well (RFC 3501, 4.3).
    """
    for line in answer:
        if isinstance(line, tuple):
            return bytes(line[1])
        if line and (quoted := QUOTED.search(line)):
            return re.sub(rb"\\(.)", rb"\1", quoted[1])
    return None


def wait_for_data(sock: socket.socket, seconds: float) -> None:
    """Wait until there is something to read, or `seconds` have passed. Raises OSError."""
    # Not epoll: a socket that another thread shuts and closes at once is forgotten by it, and the
    # wait goes on to its end.
    with PollSelector() as selector:
        try:
            selector.register(sock, EVENT_READ)
        except ValueError as error:
            raise OSError("the connection was closed") from error
        selector.select(seconds)


def _has_buffered(client: imaplib.IMAP4) -> bool:
    """Whether more came with the last answer: word of a mail that arrived just before IDLE. It lies
    in the reader's buffer, and the socket will not tell of it again."""
    patience = client.sock.gettimeout()
    client.sock.settimeout(0)
    try:
        return isinstance(client.file, BufferedReader) and bool(client.file.peek(1))
    except OSError:  # under TLS: nothing whole yet
        return False
    finally:
        client.sock.settimeout(patience)


def _imap_date(seconds: int) -> str:
    """RFC 3501's date, whose months are English whatever the machine's language."""
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day.day}-{MONTHS[day.month - 1]}-{day.year}"
