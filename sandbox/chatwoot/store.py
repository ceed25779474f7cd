"""All the rows under one lock, and the events that leave when a change is complete."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from sandbox.chatwoot.records import (
    Account,
    Blob,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Event,
    Inbox,
    Message,
    Team,
    Upload,
    User,
    Webhook,
)
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.version import NEWEST, Version, version_named

T = TypeVar("T")
_IDENTIFIED = {"application/x-msdownload": "application/x-dosexec"}
"""Types that are called otherwise once the file was looked at."""


class Table(Generic[T]):
    """Rows by id; ids only ever grow."""

    def __init__(self, row: Callable[..., T]) -> None:
        self.row = row
        self.rows: dict[int, T] = {}
        self.last_id = 0

    def add(self, **values: object) -> T:
        self.last_id += 1
        row = self.row(id=self.last_id, **values)
        self.rows[self.last_id] = row
        return row

    def get(self, row_id: int | None) -> T:
        """Raises NotFound."""
        if row_id is None or row_id not in self.rows:
            raise NotFound
        return self.rows[row_id]

    def __iter__(self) -> Iterator[T]:
        return iter(list(self.rows.values()))


class Store:
    """The whole installation. Use its rows only inside `reading()` or `changing()`."""

    def __init__(
        self,
        version: Version | None = None,
        *,
        flood_limit: int | None = 200,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.version = version or version_named(NEWEST)
        self.flood_limit = flood_limit
        self.now = clock
        self.url = ""
        self.accounts = Table(Account)
        self.users = Table(User)
        self.bots = Table(Bot)
        self.teams = Table(Team)
        self.inboxes = Table(Inbox)
        self.contacts = Table(Contact)
        self.contact_inboxes = Table(ContactInbox)
        self.conversations = Table(Conversation)
        self.messages = Table(Message)
        self.webhooks = Table(Webhook)
        self.blobs: dict[str, Blob] = {}
        self.last_attachment_id = 0
        self.blob_delay = 0.0
        self.actor: User | Bot | None = None
        """Who makes the change: activity messages name them."""
        self.witnesses: list[Callable[[Event], None]] = []
        """Called at once with each event, when the rows are as the event found them."""
        self.listeners: list[Callable[[list[Event]], None]] = []
        """Called with the events of a change that ended well, under the lock."""
        self._lock = threading.RLock()
        self._depth = 0
        self._events: list[Event] = []
        self._by_display: dict[tuple[int, int], int] = {}
        self._by_source: dict[tuple[int, str], int] = {}
        self._talks: dict[int, list[int]] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            yield

    @contextmanager
    def changing(self, actor: User | Bot | None = None) -> Iterator[None]:
        """One change; its events go out when the outermost one ends well, and only then."""
        with self._lock:
            self._depth += 1
            before, self.actor = self.actor, actor or self.actor
            try:
                yield
            except BaseException:
                self._events.clear()
                raise
            finally:
                self.actor = before
                self._depth -= 1
            if self._depth == 0:
                events, self._events = self._events, []
                for listener in self.listeners:
                    listener(events)

    def emit(self, event: Event) -> None:
        self._events.append(event)
        for witness in self.witnesses:
            witness(event)

    def remove_conversation(self, conversation: Conversation) -> None:
        """With its messages. The look-up tables are made again by `index`, once for several."""
        for message_id in self.message_ids(conversation):
            del self.messages.rows[message_id]
        del self.conversations.rows[conversation.id]

    def announced(self, conversation_id: int) -> set[str]:
        """The names of this conversation's events in the change that is under way."""
        return {
            event.name
            for event in self._events
            if event.subject_id == conversation_id and event.name.startswith("conversation_")
        }

    def add_conversation(self, conversation: Conversation) -> None:
        self._by_display[conversation.account_id, conversation.display_id] = conversation.id

    def add_contact_inbox(self, row: ContactInbox) -> None:
        self._by_source[row.inbox_id, row.source_id] = row.id

    def add_message(self, message: Message) -> None:
        self._index_message(message)
        if message.message_type == "activity":
            # Webhooks know nothing of it, so it has an event of its own; no inbox is called.
            self.emit(Event("activity_created", message.account_id, None, message.id))

    def index(self) -> None:
        """Make the look-up tables again, after the rows were loaded or some were deleted."""
        self._by_display.clear()
        self._by_source.clear()
        self._talks.clear()
        for conversation in self.conversations:
            self.add_conversation(conversation)
        for row in self.contact_inboxes:
            self.add_contact_inbox(row)
        for message in self.messages:
            self._index_message(message)

    def _index_message(self, message: Message) -> None:
        self._talks.setdefault(message.conversation_id, []).append(message.id)

    def conversation(self, account_id: int, display_id: int) -> Conversation:
        """Raises NotFound."""
        return self.conversations.get(self._by_display.get((account_id, display_id)))

    def contact_inbox(self, inbox_id: int, source_id: str) -> ContactInbox | None:
        row_id = self._by_source.get((inbox_id, source_id))
        return None if row_id is None else self.contact_inboxes.rows.get(row_id)

    def message_ids(self, conversation: Conversation) -> list[int]:
        """The ids of a conversation's messages, ascending."""
        return self._talks.get(conversation.id, [])

    def messages_of(self, conversation: Conversation) -> list[Message]:
        return [self.messages.rows[message_id] for message_id in self.message_ids(conversation)]

    def contact_inboxes_of(self, contact: Contact) -> list[ContactInbox]:
        return [row for row in self.contact_inboxes if row.contact_id == contact.id]

    def keep(self, upload: Upload) -> Blob:
        """Store a file; its bytes can be fetched `blob_delay` seconds later."""
        blob = Blob(
            key=secrets.token_urlsafe(18),
            name=upload.name,
            content_type=_IDENTIFIED.get(upload.content_type, upload.content_type),
            size=len(upload.data),
            data=base64.b64encode(upload.data).decode(),
            ready_at=self.now() + self.blob_delay,
        )
        self.blobs[blob.key] = blob
        return blob
