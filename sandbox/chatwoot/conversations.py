"""The rules for conversations (Chatwoot's conversation.rb and its builders)."""

from __future__ import annotations

import uuid
from typing import Any

from sandbox.chatwoot.activities import note_changes
from sandbox.chatwoot.contacts import attach
from sandbox.chatwoot.records import (
    CONVERSATION_STATUSES,
    JSON,
    PRIORITIES,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Event,
    Inbox,
)
from sandbox.chatwoot.refusals import NotFound, RecordInvalid, ServerError, Unprocessable
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.times import iso

LARGEST_NUMBER = 9_999_999_999
LONGEST_ATTRIBUTE = 1500
_ISO_COLUMNS = {"snoozed_until", "waiting_since", "first_reply_created_at"}


def find_place(store: Store, account_id: int, fields: JSON) -> ContactInbox:
    """The contact-inbox of a new conversation.

    With inbox and contact: that contact's place. Else the first row of the *whole installation*
    with the source id (conversations_controller.rb). Raises NotFound, Unprocessable.
    """
    source_id = fields.get("source_id")
    if fields.get("inbox_id") and fields.get("contact_id"):
        inbox = store.inboxes.get(_number(fields["inbox_id"]))
        contact = store.contacts.get(_number(fields["contact_id"]))
        if inbox.account_id != account_id or contact.account_id != account_id:
            raise NotFound
        try:
            return attach(store, contact, inbox, source_id)
        except ServerError:
            raise Unprocessable("source_id should be unique") from None
    for row in store.contact_inboxes:
        if row.source_id == source_id:
            return row
    raise NotFound


def open_conversation(store: Store, place: ContactInbox, fields: JSON) -> Conversation:
    """A new conversation; in a locked inbox the latest one of the contact, as it is."""
    inbox = store.inboxes.get(place.inbox_id)
    contact = store.contacts.get(place.contact_id)
    if inbox.lock_to_single_conversation:
        mine = [row for row in store.conversations if row.contact_inbox_id == place.id]
        if mine:
            return mine[-1]
    check_attributes(fields)
    return _create(store, place, inbox, contact, fields)


def _create(
    store: Store, place: ContactInbox, inbox: Inbox, contact: Contact, fields: JSON
) -> Conversation:
    status = _first_status(inbox, contact, fields.get("status"))
    assignee_id, team_id = fields.get("assignee_id"), fields.get("team_id")
    account = store.accounts.get(inbox.account_id)
    account.last_display_id += 1
    now = store.now()
    conversation = store.conversations.add(
        display_id=account.last_display_id,
        account_id=account.id,
        inbox_id=inbox.id,
        contact_id=contact.id,
        contact_inbox_id=place.id,
        uuid=str(uuid.uuid4()),
        created_at=now,
        updated_at=now,
        last_activity_at=now,
        waiting_since=now,
        status=status,
        assignee_id=assignee_id if may_have(store, team_id, assignee_id) else None,
        team_id=team_id,
        additional_attributes=fields.get("additional_attributes") or {},
        custom_attributes=fields.get("custom_attributes") or {},
    )
    store.add_conversation(conversation)
    announce(store, "conversation_created", conversation)
    return conversation


def may_have(store: Store, team_id: int | None, assignee_id: int | None) -> bool:
    """Nobody from outside of its team keeps a conversation (concerns/assignment_handler.rb)."""
    team = None if team_id is None else store.teams.rows.get(team_id)
    return team is None or assignee_id in team.member_ids


def _first_status(inbox: Inbox, contact: Contact, wanted: str | None) -> str:
    if wanted is not None and wanted not in CONVERSATION_STATUSES:
        raise ServerError
    if contact.blocked:
        return "resolved"
    if inbox.bot_id is not None:
        return "pending"
    return wanted or "open"


def check_attributes(fields: JSON) -> None:
    """Raises RecordInvalid for top-level values that are too long or too large."""
    for name in ("additional_attributes", "custom_attributes"):
        for key, value in (fields.get(name) or {}).items():
            if isinstance(value, str) and len(value) > LONGEST_ATTRIBUTE:
                text = f"{key} length should be < {LONGEST_ATTRIBUTE}"
            elif isinstance(value, int) and value > LARGEST_NUMBER:
                text = f"{key} value should be < {LARGEST_NUMBER}"
            else:
                continue
            raise RecordInvalid((name, f"{name.replace('_', ' ').capitalize()} {text}"))


def change(store: Store, conversation: Conversation, **values: Any) -> None:
    """Set columns, tell what changed in conversation_updated, and note who did it."""
    note_changes(store, conversation, change_unnoted(store, conversation, **values))


def change_unnoted(store: Store, conversation: Conversation, **values: Any) -> JSON:
    """As `change`, but no line says who did it. Answers with the old values of what changed."""
    changed = {
        name: getattr(conversation, name)
        for name, value in values.items()
        if getattr(conversation, name) != value
    }
    if not changed:
        return {}
    before, conversation.updated_at = conversation.updated_at, store.now()
    for name in changed:
        setattr(conversation, name, values[name])
    attributes = [_change(conversation, name, old) for name, old in changed.items()]
    attributes += _take_side_effects(store, conversation, "labels" in changed)
    attributes.append(_change(conversation, "updated_at", before))
    if "status" in changed:
        if conversation.status == "resolved":
            conversation.waiting_since = None  # beside the row's other changes: nothing tells of it
        announce(store, "conversation_status_changed", conversation, {"changed_attributes": None})
    announce(store, "conversation_updated", conversation, {"changed_attributes": attributes})
    return changed


def _take_side_effects(store: Store, conversation: Conversation, relabelled: bool) -> list[JSON]:
    """Do and tell what Rails does besides.

    A row that is changed once more in the same request shows the number that the database gave
    it; by then, and by a bot's hand at once, its labels were read, and are kept as one text.
    """
    announced = store.announced(conversation.id)
    told: list[JSON] = []
    if "conversation_created" in announced:
        number = {"previous_value": None, "current_value": conversation.display_id}
        told.append({"display_id": number})
    before = conversation.cached_label_list
    labels_read = before is None and (announced or isinstance(store.actor, Bot))
    if relabelled or labels_read:
        conversation.cached_label_list = ", ".join(conversation.labels)
        told.append(_change(conversation, "cached_label_list", before))
    return told


def set_priority(store: Store, conversation: Conversation, priority: str | None) -> None:
    """Raises ServerError for an unknown priority: the enum objects."""
    if priority not in PRIORITIES:
        raise ServerError
    change(store, conversation, priority=priority)


def delete_conversation(store: Store, conversation: Conversation) -> None:
    """With its messages; no webhook tells of it."""
    store.remove_conversation(conversation)
    store.index()


def announce(
    store: Store, name: str, conversation: Conversation, details: JSON | None = None
) -> None:
    whose = (conversation.account_id, conversation.inbox_id, conversation.id)
    store.emit(Event(name, *whose, details or {}))


def announce_typing(
    store: Store, conversation: Conversation, typing: str, user: JSON, private: object = None
) -> None:
    """`user` as webhooks show one; anything but «on» and «off» is ignored."""
    if typing in {"on", "off"}:
        details = {"user": user, "is_private": private in {True, "true"}}
        announce(store, f"conversation_typing_{typing}", conversation, details)


def _change(conversation: Conversation, name: str, old: Any) -> JSON:
    values = (old, getattr(conversation, name))
    if name == "updated_at" or name in _ISO_COLUMNS:
        values = (iso(values[0]), iso(values[1]))
    key = "label_list" if name == "labels" else name
    return {key: {"previous_value": values[0], "current_value": values[1]}}


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise NotFound from None
