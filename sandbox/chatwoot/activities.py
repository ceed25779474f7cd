"""The grey lines in a conversation: who did what (Chatwoot's activity_message_handler.rb).

They stand among the messages, with a number of their own; no webhook tells of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.chatwoot.records import Conversation, Message, User
from sandbox.chatwoot.store import Store

REOPENED = "System reopened the conversation due to a new incoming message."
BOT_FAILED = "Conversation was marked open by system due to an error with the agent bot."
_STATUSES = {
    "resolved": "Conversation was marked resolved by {who}",
    "open": "Conversation was reopened by {who}",
    "pending": "Conversation was marked as pending by {who}",
    "snoozed": "Conversation was snoozed by {who}",
}


def note(store: Store, conversation: Conversation, text: str) -> Message:
    now = store.now()
    line = store.messages.add(
        account_id=conversation.account_id,
        inbox_id=conversation.inbox_id,
        conversation_id=conversation.id,
        message_type="activity",
        content=text,
        processed_content=text,
        created_at=now,
        updated_at=now,
    )
    store.add_message(line)
    conversation.last_activity_at = conversation.updated_at = now
    return line


def note_changes(store: Store, conversation: Conversation, before: Mapping[str, Any]) -> None:
    """A line for each change that has one, if somebody made it. `before`: the columns that
    changed, with their old values."""
    if store.actor is None:
        return
    who = store.actor.name
    if "status" in before:
        note(store, conversation, _STATUSES[conversation.status].format(who=who))
    if "priority" in before:
        note(store, conversation, _priority(before["priority"], conversation.priority, who))
    if "labels" in before:
        for text in _labels(before["labels"], conversation.labels, who):
            note(store, conversation, text)
    if "team_id" in before:
        note(store, conversation, _team(store, conversation, before, who))
    elif "assignee_id" in before:
        note_assignee(store, conversation)


def note_assignee(store: Store, conversation: Conversation) -> None:
    """Who has the conversation now, and who says so."""
    if store.actor is None:
        return
    who = store.actor.name
    if conversation.assignee_id is None:
        note(store, conversation, f"Conversation unassigned by {who}")
    elif isinstance(store.actor, User) and store.actor.id == conversation.assignee_id:
        note(store, conversation, f"{who} self-assigned this conversation")
    else:
        note(store, conversation, f"Assigned to {_assignee(store, conversation)} by {who}")


def note_muted(store: Store, conversation: Conversation, how: str) -> None:
    """`how` is «muted» or «unmuted»."""
    if store.actor is not None:
        note(store, conversation, f"{store.actor.name} has {how} the conversation")


def _priority(old: str | None, new: str | None, who: str) -> str:
    if new is None:
        return f"{who} removed the priority"
    if old is None:
        return f"{who} set the priority to {new}"
    return f"{who} changed the priority from {old} to {new}"


def _labels(old: list[str], new: list[str], who: str) -> list[str]:
    added = [label for label in new if label not in old]
    removed = [label for label in old if label not in new]
    changes = (("added", added), ("removed", removed))
    return [f"{who} {how} {', '.join(labels)}" for how, labels in changes if labels]


def _team(store: Store, conversation: Conversation, before: Mapping[str, Any], who: str) -> str:
    if conversation.team_id is None:
        former = store.teams.rows.get(before["team_id"])
        return f"Unassigned from {former.name if former else ''} by {who}"
    team = store.teams.get(conversation.team_id).name
    if "assignee_id" in before and conversation.assignee_id is not None:
        return f"Assigned to {_assignee(store, conversation)} via {team} by {who}"
    return f"Assigned to {team} by {who}"


def _assignee(store: Store, conversation: Conversation) -> str:
    return store.users.get(conversation.assignee_id).name
