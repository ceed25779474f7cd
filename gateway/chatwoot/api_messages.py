"""Replies found by asking Chatwoot, for those whose webhook never reached us.

Chatwoot sends a webhook once. What was written while the gateway was away is found through the API,
and becomes the same values that the webhook would have become.
"""

from __future__ import annotations

from gateway.chatwoot import interactive
from gateway.chatwoot.events import AgentMessage, Ignored, MessageDeleted
from gateway.chatwoot.values import Conversation, Kind, Message
from gateway.chatwoot.webhook import not_for_the_customer, plain_breaks


def as_event(
    conversation: Conversation, message: Message
) -> AgentMessage | MessageDeleted | Ignored:
    """What the webhook of `message` would say now."""
    if (ignored := not_for_the_customer(message.kind, message.source_id)) is not None:
        return ignored
    if message.deleted:
        return MessageDeleted(
            message.id, conversation.id, conversation.inbox_id, conversation.source_id
        )
    return AgentMessage(
        id=message.id,
        conversation=conversation.id,
        inbox=conversation.inbox_id,
        peer=conversation.source_id,
        contact=conversation.contact,
        content=interactive.readable(
            plain_breaks(message.content), message.content_type, message.items
        ),
        content_type=message.content_type,
        choices=interactive.choices(message.content_type, message.items),
        created_at=message.created_at,
        sender=message.sender_name,
        is_template=message.kind is Kind.TEMPLATE,
        is_automatic=not message.by_an_agent,
        in_reply_to=message.in_reply_to,
        in_reply_to_external_id=message.in_reply_to_external_id,
        attachments=message.attachments,
        attributes=conversation.attributes,
    )
