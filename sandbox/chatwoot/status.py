"""Opening, resolving, muting: what is done with a whole conversation, and the survey after it
(Chatwoot's conversation.rb, csat_survey_service.rb)."""

from __future__ import annotations

from sandbox.chatwoot.activities import note_muted
from sandbox.chatwoot.contacts import update_contact
from sandbox.chatwoot.conversations import change
from sandbox.chatwoot.messages import Draft, create_message
from sandbox.chatwoot.records import CONVERSATION_STATUSES, Conversation
from sandbox.chatwoot.refusals import ServerError
from sandbox.chatwoot.store import Store


def set_status(
    store: Store, conversation: Conversation, status: str, snoozed_until: float | None = None
) -> None:
    """Raises ServerError for an unknown status: the enum objects."""
    if status not in CONVERSATION_STATUSES:
        raise ServerError
    was_resolved = conversation.status == "resolved"
    until = snoozed_until if status == "snoozed" else None
    change(store, conversation, status=status, snoozed_until=until)
    if status == "resolved" and not was_resolved:
        _survey(store, conversation)


def mute(store: Store, conversation: Conversation) -> None:
    """Blocks the contact and resolves."""
    set_status(store, conversation, "resolved")
    _block(store, conversation, True, "muted")


def unmute(store: Store, conversation: Conversation) -> None:
    _block(store, conversation, False, "unmuted")


def _block(store: Store, conversation: Conversation, blocked: bool, how: str) -> None:
    contact = store.contacts.get(conversation.contact_id)
    update_contact(store, contact, {"blocked": blocked})
    note_muted(store, conversation, how)


def _survey(store: Store, conversation: Conversation) -> None:
    """Ask the customer how it was, once in a conversation."""
    if not store.inboxes.get(conversation.inbox_id).settings.get("csat_survey_enabled"):
        return
    if any(each.content_type == "input_csat" for each in store.messages_of(conversation)):
        return
    draft = Draft(
        "Please rate the conversation",
        "template",
        content_type="input_csat",
        content_attributes={"display_type": "emoji"},
    )
    create_message(store, conversation, draft, None)
