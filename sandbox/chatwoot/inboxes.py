"""The rules for API inboxes (Chatwoot's channel/api.rb and inboxes_controller.rb)."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox.chatwoot.records import JSON, Inbox
from sandbox.chatwoot.refusals import RecordInvalid
from sandbox.chatwoot.shapes_of_inboxes import DEFAULTS
from sandbox.chatwoot.store import Store

LONGEST_URL = 2048
LONGEST_NAME = 255


def new_key() -> str:
    return secrets.token_urlsafe(18)


def create_inbox(store: Store, account_id: int, fields: JSON) -> Inbox:
    """Raises RecordInvalid."""
    _validate({"name": "", **fields})
    now = store.now()
    inbox = store.inboxes.add(
        account_id=account_id,
        name="",
        channel_id=store.inboxes.last_id + 1,
        webhook_url=None,
        identifier=new_key(),
        hmac_token=new_key(),
        secret=new_key(),
        created_at=now,
        updated_at=now,
    )
    _assign(inbox, fields)
    return inbox


def update_inbox(store: Store, inbox: Inbox, fields: JSON) -> None:
    """Raises RecordInvalid."""
    _validate(fields)
    _assign(inbox, fields)
    inbox.updated_at = store.now()


def delete_inbox(store: Store, inbox: Inbox) -> None:
    """With all that is in it, except the contacts."""
    for conversation in store.conversations:
        if conversation.inbox_id == inbox.id:
            store.remove_conversation(conversation)
    for row in store.contact_inboxes:
        if row.inbox_id == inbox.id:
            del store.contact_inboxes.rows[row.id]
    del store.inboxes.rows[inbox.id]
    store.index()


def _validate(fields: JSON) -> None:
    channel = fields.get("channel") or {}
    if "name" in fields and not fields["name"]:
        raise RecordInvalid(("name", "Name can't be blank"))
    if len(str(fields.get("name", ""))) > LONGEST_NAME:
        raise RecordInvalid(("name", "Name is too long (maximum is 255 characters)"))
    if len(channel.get("webhook_url") or "") > LONGEST_URL:
        text = f"Webhook url is too long (maximum is {LONGEST_URL} characters)"
        raise RecordInvalid(("webhook_url", text))
    hours = (channel.get("additional_attributes") or {}).get("agent_reply_time_window")
    if hours not in {None, ""} and not _is_positive(hours):
        text = "Agent reply time window must be greater than 0"
        raise RecordInvalid(("agent_reply_time_window", text))


def _is_positive(value: Any) -> bool:
    return str(value).isdigit() and int(value) > 0


def _assign(inbox: Inbox, fields: JSON) -> None:
    """The text «null» counts as null in any parameter."""
    values = {key: None if value == "null" else value for key, value in fields.items()}
    inbox.name = values.get("name") or inbox.name
    lock = values.get("lock_to_single_conversation", inbox.lock_to_single_conversation)
    inbox.lock_to_single_conversation = lock in {True, "true", "1"}
    inbox.settings |= {key: values[key] for key in DEFAULTS if key in values}
    channel = values.get("channel") or {}
    inbox.webhook_url = channel.get("webhook_url", inbox.webhook_url)
    inbox.hmac_mandatory = channel.get("hmac_mandatory", inbox.hmac_mandatory) in {True, "true"}
    inbox.additional_attributes = channel.get("additional_attributes", inbox.additional_attributes)
