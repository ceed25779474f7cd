"""What is told to dashboards, made from the events of the store.

Source in Chatwoot: app/listeners/action_cable_listener.rb, app/jobs/action_cable_broadcast_job.rb.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.chatwoot import payloads, shapes
from sandbox.chatwoot.records import JSON, Bot, Contact, Conversation, Event, Message, User
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.times import iso

_COLUMNS = (
    "content",
    "content_type",
    "content_attributes",
    "additional_attributes",
    "status",
    "sender_id",
    "sender_type",
    "source_id",
)


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One message to the dashboards of an account."""

    event: str
    account_id: int
    data: JSON = field(default_factory=dict)
    inbox_id: int | None = None
    """Only who sees this inbox is told; None: everybody in the account."""
    conversation_id: int | None = None
    """The row of a conversation that is read again when the message leaves, instead of `data`."""
    but_not: int | None = None
    """The id of a user who is not told."""


class Announcer:
    """Makes broadcasts of a store's events, and hands them on when the change has ended well."""

    def __init__(
        self,
        store: Store,
        send: Callable[[list[Broadcast]], None],
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`wanted`: whether anybody listens; nothing is made otherwise."""
        self._store = store
        self._send = send
        self._wanted = wanted
        self._made: list[tuple[Event, list[Broadcast]]] = []
        self._known: dict[int, JSON] = {}
        """The columns of each message as they were told last."""
        store.witnesses.append(self._witness)
        store.listeners.append(self._hand_on)

    def _witness(self, event: Event) -> None:
        """The data is that of this moment: another event of the same change finds other data."""
        if self._wanted():
            self._made.append((event, self._broadcasts(event)))
        elif event.name.startswith("message_"):
            message = self._store.messages.get(event.subject_id)
            self._known[message.id] = _columns(message)

    def _hand_on(self, events: list[Event]) -> None:
        made, self._made = self._made, []
        committed = {id(event) for event in events}
        broadcasts = [each for event, told in made if id(event) in committed for each in told]
        for each in broadcasts:
            if each.event == "conversation.created":
                with contextlib.suppress(NotFound):  # deleted within the same change
                    self._add_first_message(each.data)
        self._send(broadcasts)

    def _add_first_message(self, data: JSON) -> None:
        """A conversation that began with a message shows it, although it was told of before."""
        row = self._store.conversation(data["account_id"], data["id"])
        if last := shapes.last_message(self._store, row):
            data["messages"] = [shapes.message_push(self._store, last)]

    def _broadcasts(self, event: Event) -> list[Broadcast]:
        store = self._store
        if event.name.startswith("conversation_"):
            return self._of_conversation(event, store.conversations.get(event.subject_id))
        if event.name.startswith("contact_"):
            return self._of_contact(event, store.contacts.get(event.subject_id))
        if event.name == "activity_created":
            return self._of_activity(store.messages.get(event.subject_id))
        return self._of_message(event, store.messages.get(event.subject_id))

    def _of_message(self, event: Event, row: Message) -> list[Broadcast]:
        whose = (event.account_id, {**shapes.message_push(self._store, row), **self._performer()})
        before, now = self._known.get(row.id), _columns(row)
        self._known[row.id] = now
        if event.name == "message_updated":
            changes = _changes(before or now, now)
            data = {**whose[1], "previous_changes": changes}
            return [Broadcast("message.updated", event.account_id, data, row.inbox_id)]
        told = [Broadcast("message.created", *whose, row.inbox_id)]
        if _is_first_reply(row, self._store.conversations.get(row.conversation_id)):
            told.append(Broadcast("first.reply.created", *whose, row.inbox_id))
        return told

    def _of_activity(self, row: Message) -> list[Broadcast]:
        """A job writes the grey lines, without a performer."""
        data = shapes.message_push(self._store, row)
        return [Broadcast("message.created", row.account_id, data, row.inbox_id)]

    def _of_contact(self, event: Event, row: Contact) -> list[Broadcast]:
        shape = shapes.contact_push(self._store, row)
        data = {**shape, "account_id": event.account_id, **self._performer()}
        return [Broadcast(_dotted(event.name), event.account_id, data)]

    def _of_conversation(self, event: Event, row: Conversation) -> list[Broadcast]:
        name, account_id = _dotted(event.name), event.account_id
        if name in {"conversation.updated", "conversation.status_changed"}:
            return [Broadcast(name, account_id, inbox_id=row.inbox_id, conversation_id=row.id)]
        shape = payloads.conversation_push(self._store, row)
        end = {"account_id": account_id, **self._performer()}
        if not name.startswith("conversation.typing_"):
            return [Broadcast(name, account_id, {**shape, **end}, row.inbox_id)]
        user, typist = self._typist(event.details["user"])
        private = bool(event.details["is_private"])
        data = {"conversation": shape, "user": user, "is_private": private, **end}
        return [Broadcast(name, account_id, data, row.inbox_id, but_not=typist)]

    def _typist(self, told: JSON) -> tuple[JSON, int | None]:
        """Who types, in the shape that is told here, and the id if it is a user."""
        if told.get("type") != "user":
            return told, None
        return shapes.user_push(self._store.users.get(told["id"])), told["id"]

    def _performer(self) -> JSON:
        """The user or bot whose request it was; nothing for what Chatwoot does by itself."""
        actor = self._store.actor
        if isinstance(actor, User):
            return {"performer": shapes.user_push(actor)}
        return {"performer": shapes.bot_push(actor)} if isinstance(actor, Bot) else {}


def conversation_as_it_is(store: Store, conversation_id: int) -> JSON:
    """A conversation as a background job reads it. Raises NotFound."""
    row = store.conversations.get(conversation_id)
    shape = payloads.conversation_push(store, row)
    for message in shape["messages"]:
        if (sender := message.get("sender")) and sender["type"] == "user":
            message["sender"] = {**sender, "availability_status": None}
    return {**shape, "account_id": row.account_id}


def _dotted(name: str) -> str:
    """`conversation_status_changed` is `conversation.status_changed` here."""
    return name.replace("_", ".", 1)


def _columns(row: Message) -> JSON:
    return {name: getattr(row, name) for name in _COLUMNS} | {"updated_at": iso(row.updated_at)}


def _changes(before: JSON, now: JSON) -> JSON:
    times = {"updated_at": [before["updated_at"], now["updated_at"]]}
    changed = {name: [before[name], now[name]] for name in now if before[name] != now[name]} | times
    if "content" in changed:
        changed["processed_message_content"] = changed["content"]
    return changed


def _is_first_reply(message: Message, conversation: Conversation) -> bool:
    return (
        message.message_type == "outgoing"
        and not message.private
        and message.sender_type == "User"
        and conversation.first_reply_created_at == message.created_at
    )
