"""The support mailbox over IMAP (RFC 3501, with IDLE), served by pymap."""

from __future__ import annotations

import asyncio
import base64
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Login, Session
from pymap.backend.dict import Identity as DictIdentity
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet, Message
from pymap.concurrent import Subsystem
from pymap.exceptions import InvalidAuth, TemporaryFailure
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials.flag import Flag
from pymap.user import UserMetadata
from pysasl.creds.server import ServerCredentials
from pysasl.hashing import Cleartext

from sandbox.faults import Faults

Json = dict[str, Any]


class Inbox(MailboxData):
    """The INBOX; it keeps each mail byte for byte, so that it can be saved."""

    def __init__(self, *caches: Any) -> None:
        super().__init__(*caches)
        self.raw: dict[int, bytes] = {}

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:
        message = await super().append(append_msg, recent=recent)
        self.raw[message.uid] = append_msg.literal
        return message

    async def deliver(self, mail: bytes) -> int:
        """Add a new mail and tell the clients that idle. Returns its UID."""
        fresh = AppendMessage(mail, datetime.now(UTC))
        return (await self.append(fresh, recent=True)).uid

    async def next_uid(self) -> int:
        """What the next mail will have."""
        return int(self._max_uid) + 1

    async def dump(self) -> Json:
        """Everything that a client could remember about the mailbox."""
        mails = [
            {
                "uid": message.uid,
                "date": message.internal_date.isoformat(),
                "flags": sorted(flag.value.decode() for flag in message.permanent_flags),
                "raw": base64.b64encode(self.raw[message.uid]).decode(),
            }
            async for message in self.messages()
            if message.uid in self.raw
        ]
        return {"uid_validity": self.uid_validity, "last_uid": self._max_uid, "mails": mails}

    async def restore(self, saved: Json) -> None:
        """Take back what `dump` gave, under the same UIDs."""
        self._uid_validity = saved["uid_validity"]
        for mail in saved["mails"]:
            self._max_uid = mail["uid"] - 1
            flags = frozenset(Flag(flag) for flag in mail["flags"])
            date = datetime.fromisoformat(mail["date"])
            await self.append(AppendMessage(base64.b64decode(mail["raw"]), date, flags))
        self._max_uid = saved["last_uid"]


class Mailboxes(MailboxSet):
    """The support user's mailboxes."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = self._inbox = Inbox(self._content_cache, self._thread_cache)

    async def renumber(self) -> None:
        """A new UIDVALIDITY and new UIDs, as after a provider has moved the mailbox."""
        old = self.inbox
        fresh = Inbox(self._content_cache, self._thread_cache)
        fresh._uid_validity = old.uid_validity + 1
        self.inbox = self._inbox = fresh
        for mail in old.raw.values():
            await fresh.deliver(mail)


class _Settings(Config):
    @property
    def greeting(self) -> bytes:
        return b"Sandbox mail ready"


class _Session(Session):
    faults: Faults

    async def fetch_messages(self, *asked: Any) -> Any:
        messages, selected = await super().fetch_messages(*asked)
        if any(self.faults.take("FETCH", str(mail.uid)) for _, mail in messages):
            raise TemporaryFailure("this mail cannot be read")
        return messages, selected


class _Identity(DictIdentity):
    faults: Faults

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        session = _Session(self.name, self.config, *self.config.set_cache[self.name])
        session.faults = self.faults
        yield session


class _Login(Login):
    def __init__(self, config: Config, faults: Faults) -> None:
        super().__init__(config)
        self._faults = faults

    async def authenticate(self, credentials: ServerCredentials) -> DictIdentity:
        if self._faults.take("LOGIN", "imap"):
            raise InvalidAuth
        return await super().authenticate(credentials)

    async def authorize(self, authenticated: Any, authzid: str) -> _Identity:
        known = await super().authorize(authenticated, authzid)
        identity = _Identity(known.name, self, None, frozenset())
        identity.faults = self._faults
        return identity


class _WholeAnswers(asyncio.StreamWriter):
    """Sends an answer in one piece.

    pymap writes it in many, and imap-tools, which reads without blocking while it idles, takes a
    line of which only the beginning is there for a broken connection.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        protocol = writer.transport.get_protocol()
        super().__init__(writer.transport, protocol, None, asyncio.get_running_loop())
        self._held = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._held += data

    async def drain(self) -> None:
        self._send()
        await super().drain()

    def close(self) -> None:
        self._send()
        super().close()

    def _send(self) -> None:
        if self._held:
            super().write(bytes(self._held))
            self._held.clear()


class ImapServer:
    """One user's mailboxes on 127.0.0.1. Must be made and used on one event loop."""

    def __init__(self, user: str, password: str, faults: Faults) -> None:
        config = _Settings(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host="127.0.0.1",
            port=0,
            tls_enabled=False,
            reject_dnsbl=False,
            invalid_user_sleep=0.0,
            hash_context=Cleartext(),
            cpu_subsystem=Subsystem.for_asyncio(),
            demo_data=False,
            demo_user=user,
            demo_password=password,
        )
        config.apply_context()
        login = _Login(config, faults)
        login.users_dict[user] = UserMetadata(config, user, password=password)
        self.mailboxes = Mailboxes()
        config.set_cache[user] = (self.mailboxes, FilterSet())
        self._serve = IMAPServer(login, config)
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self, port: int) -> asyncio.Server:
        """Serve until the returned server is closed."""
        return await asyncio.start_server(self._serve_connection, "127.0.0.1", port)

    def cut(self) -> None:
        """Break every open connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        where = SocketInfo.get(writer, None, unique_id=b"sandbox")
        try:
            await self._serve(reader, _WholeAnswers(writer), where)
        finally:
            self._writers.discard(writer)
