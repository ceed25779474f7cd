"""The rules for contacts and their places in inboxes (Chatwoot's contact.rb and its builders)."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator

from sandbox.chatwoot.records import JSON, Contact, ContactInbox, Event, Inbox, Message, Upload
from sandbox.chatwoot.refusals import RecordInvalid, ServerError
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.times import iso

# As in Chatwoot, only the end is anchored.
_PHONE = re.compile(r"\+[1-9]\d{1,14}\Z")
_EMAIL = re.compile(r"\A[^@\s]+@[^@\s]+\Z")
_SHORT_TEXTS = ("name", "email", "phone_number", "identifier")
_MERGED = ("additional_attributes", "custom_attributes")
LARGEST_AVATAR = 15 * 1024 * 1024
AVATARS = {"image/jpeg", "image/png", "image/gif"}
_ANYBODYS = {"gmail", "googlemail", "hotmail", "outlook", "yahoo", "icloud", "gmx", "proton"}


def create_contact(store: Store, account_id: int, fields: JSON) -> Contact:
    """Raises RecordInvalid, and ServerError where only a database index objects."""
    values = _cleaned(fields)
    _validate(store, account_id, values, None)
    now = store.now()
    contact = store.contacts.add(account_id=account_id, created_at=now, updated_at=now)
    _assign(store, contact, values)
    store.emit(Event("contact_created", account_id, None, contact.id))
    return contact


def update_contact(store: Store, contact: Contact, fields: JSON) -> None:
    """Attributes are merged into the old ones, the rest overwrites. Raises as `create_contact`."""
    values = _cleaned(fields)
    _validate(store, contact.account_id, values, contact)
    before = {name: getattr(contact, name) for name in values}
    _assign(store, contact, values)
    if "avatar" in before:
        # A picture hangs on the contact by a row of its own, and no webhook tells of it.
        contact.updated_at = store.now()
        del before["avatar"]
    _tell_changes(store, contact, before)


def _tell_changes(store: Store, contact: Contact, before: JSON) -> None:
    """Tell which of these columns have another value now, if any has."""
    changes = [
        {name: {"previous_value": old, "current_value": getattr(contact, name)}}
        for name, old in before.items()
        if old != getattr(contact, name)
    ]
    if changes:
        announce_contact(store, contact, [*changes, _touch(store, contact)])


def _touch(store: Store, contact: Contact) -> JSON:
    """Set the time of the contact's last change, and say so as webhooks do."""
    before, contact.updated_at = contact.updated_at, store.now()
    times = {"previous_value": iso(before), "current_value": iso(contact.updated_at)}
    return {"updated_at": times}


def announce_contact(store: Store, contact: Contact, changes: list[JSON]) -> None:
    details = {"changed_attributes": changes}
    store.emit(Event("contact_updated", contact.account_id, None, contact.id, details))


def touch_contact(store: Store, contact: Contact) -> None:
    """The contact has just written."""
    before, contact.last_activity_at = contact.last_activity_at, store.now()
    change = {"previous_value": iso(before), "current_value": iso(contact.last_activity_at)}
    announce_contact(store, contact, [{"last_activity_at": change}, _touch(store, contact)])


def attach(store: Store, contact: Contact, inbox: Inbox, source_id: str | None) -> ContactInbox:
    """Find or make the contact's place in an inbox; without a source id a random one is made.

    Raises ServerError if the source id is another contact's there: the unique index objects.
    """
    source = source_id or str(uuid.uuid4())
    row = store.contact_inbox(inbox.id, source)
    if row is not None:
        if row.contact_id != contact.id:
            store.contact_inboxes.last_id += 1  # the refused row has used up a number
            raise ServerError
        return row
    now = store.now()
    row = store.contact_inboxes.add(
        contact_id=contact.id,
        inbox_id=inbox.id,
        source_id=source,
        pubsub_token=secrets.token_urlsafe(18),
        created_at=now,
        updated_at=now,
    )
    store.add_contact_inbox(row)
    return row


def delete_contact(store: Store, contact: Contact) -> None:
    """The contact goes with its conversations and messages; no webhook tells of it."""
    store.emit(Event("contact_deleted", contact.account_id, None, contact.id))
    for conversation in store.conversations:
        if conversation.contact_id == contact.id:
            store.remove_conversation(conversation)
    for row in store.contact_inboxes_of(contact):
        del store.contact_inboxes.rows[row.id]
    del store.contacts.rows[contact.id]
    store.index()


def merge_contacts(store: Store, base: Contact, mergee: Contact) -> list[Message]:
    """All that is the mergee's becomes the base's, whose own values win; the mergee is gone.

    Answers with the messages that have another sender now.
    """
    store.emit(Event("contact_merged", base.account_id, None, base.id))
    for row in store.contact_inboxes_of(mergee):
        row.contact_id = base.id
    for conversation in store.conversations:
        if conversation.contact_id == mergee.id:
            conversation.contact_id = base.id
            # The event stream alone tells of it: without an inbox, no inbox's webhook is called.
            whose = (conversation.account_id, None, conversation.id)
            store.emit(Event("conversation_contact_changed", *whose))
    moved = [each for each in store.messages if each.is_from_contact(mergee.id)]
    for message in moved:
        message.sender_id = base.id
    store.emit(Event("contact_deleted", mergee.account_id, None, mergee.id))
    del store.contacts.rows[mergee.id]
    before = {name: getattr(base, name) for name in (*_SHORT_TEXTS, *_MERGED)}
    for name in _SHORT_TEXTS:
        setattr(base, name, getattr(base, name) or getattr(mergee, name))
    for name in _MERGED:
        setattr(base, name, {**getattr(mergee, name), **getattr(base, name)})
    _tell_changes(store, base, before)
    return moved


def visible_contacts(store: Store, account_id: int) -> Iterator[Contact]:
    """Whom lists and searches see: up to 4.10 nobody without e-mail, phone or identifier."""
    for contact in store.contacts:
        known = contact.email or contact.phone_number or contact.identifier
        if contact.account_id == account_id and (known or store.version.searches_everybody):
            yield contact


def _cleaned(fields: JSON) -> JSON:
    names = (*_SHORT_TEXTS, "blocked", *_MERGED)
    values = {name: fields[name] for name in names if name in fields}
    for name in _MERGED:
        if not isinstance(values.get(name, {}), dict):
            del values[name]
    if isinstance(fields.get("avatar"), Upload):
        values["avatar"] = fields["avatar"]
    if "email" in values:
        values["email"] = str(values["email"] or "").lower() or None
    if "phone_number" in values:
        values["phone_number"] = values["phone_number"] or None
    if "name" in values:
        values["name"] = values["name"] or ""
    if "blocked" in values:
        values["blocked"] = values["blocked"] in {True, "true", "1"}
    return values


def _validate(store: Store, account_id: int, values: JSON, current: Contact | None) -> None:
    problems = [
        (name, f"{_label(name)} is too long (maximum is 255 characters)")
        for name in _SHORT_TEXTS
        if len(values.get(name) or "") > 255
    ]
    if (email := values.get("email")) and not _EMAIL.match(email):
        problems.append(("email", "Email Invalid email"))
    if (phone := values.get("phone_number")) and not _PHONE.search(phone):
        problems.append(("phone_number", "Phone number should be in e164 format"))
    if picture := values.get("avatar"):
        problems += _problems_of(store, picture)
    others = [
        other for other in store.contacts if other.account_id == account_id and other is not current
    ]
    problems += [
        (name, f"{_label(name)} has already been taken")
        for name in ("email", "identifier", "phone_number")
        if values.get(name) and any(getattr(other, name) == values[name] for other in others)
    ]
    if problems:
        raise RecordInvalid(*problems)
    # An empty identifier passes the validation but is stored as it is, and its index is unique.
    if values.get("identifier") == "" and any(other.identifier == "" for other in others):
        raise ServerError


def _problems_of(store: Store, picture: Upload) -> list[tuple[str, str]]:
    """`app/models/concerns/avatarable.rb`."""
    problems = []
    if len(picture.data) > LARGEST_AVATAR:
        problems.append(("avatar", "Avatar is too big"))
    webp = picture.content_type == "image/webp" and store.version.takes_webp
    if picture.content_type not in AVATARS and not webp:
        problems.append(("avatar", "Avatar filetype not supported"))
    return problems


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _assign(store: Store, contact: Contact, values: JSON) -> None:
    for name, value in values.items():
        merged = {**getattr(contact, name), **value} if name in _MERGED else value
        setattr(contact, name, store.keep(value).key if name == "avatar" else merged)
    if store.version.guesses_companies and (company := _company(contact.email)):
        contact.additional_attributes = {"company_name": company, **contact.additional_attributes}


def _company(email: str | None) -> str:
    """«Example» for anybody at example.net; nothing for the mailboxes of everybody."""
    name = (email or "").rpartition("@")[2].partition(".")[0]
    return "" if name in _ANYBODYS else name.title()
