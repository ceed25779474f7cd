"""A message of Chatwoot as what there is to do with it, whether a webhook told of it or the API was
asked: Chatwoot sends a webhook once, and once only."""

from __future__ import annotations

from gateway.chatwoot import interactive, surveys
from gateway.chatwoot.events import Ignored, MarkedFailed, MessageDeleted, Reply, SentElsewhere
from gateway.chatwoot.values import OURS, Conversation, Message, MessageType


def as_event(
    conversation: Conversation, message: Message
) -> Reply | MessageDeleted | MarkedFailed | SentElsewhere | Ignored:
    """What there is to do with `message`, as it is now."""
    if (ignored := not_for_the_customer(message.message_type, message.source_id)) is not None:
        if message.is_failed and not message.deleted:
            return MarkedFailed(message.id, conversation.id, conversation.inbox_id)
        return ignored
    if message.deleted:
        return MessageDeleted(
            message.id, conversation.id, conversation.inbox_id, conversation.source_id
        )
    if message.external_echo:
        return SentElsewhere(message.id, conversation.id, conversation.inbox_id, message.is_failed)
    is_survey = message.content_type == surveys.SURVEY
    needs_link = is_survey and not surveys.has_link(message.content)
    text, content_type = plain_breaks(message.content), message.content_type
    return Reply(
        message=message.id,
        conversation=conversation.id,
        inbox=conversation.inbox_id,
        peer=conversation.source_id,
        text=interactive.readable(text, content_type, message.items),
        in_reply_to=message.in_reply_to_external_id,
        sender=message.sender_name,
        automatic=not message.by_an_agent,
        written_at=message.created_at,
        attributes=conversation.attributes,
        choices=interactive.choices(content_type, message.items),
        survey=is_survey,
        survey_page=surveys.page_of(conversation.uuid) if needs_link else "",
        files=message.attachments,
        contact=conversation.contact.id,
        to=conversation.contact.addressee,
    )


def not_for_the_customer(message_type: MessageType, source_id: str) -> Ignored | None:
    """Why a message is not relayed; None if it is."""
    if message_type is MessageType.NOTE:
        return Ignored("private_note")
    if message_type not in {MessageType.OUTGOING, MessageType.TEMPLATE}:
        return Ignored(message_type.value)
    return Ignored("own_echo") if source_id.startswith(OURS) else None


def plain_breaks(content: str) -> str:
    """`content` without the backslashes that the dashboard's editor puts before line ends."""
    return content.replace("\\\r\n", "\n").replace("\\\n", "\n")
