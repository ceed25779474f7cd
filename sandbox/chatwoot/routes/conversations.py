"""Conversations (conversations_controller.rb and the controllers below it)."""

from __future__ import annotations

from sandbox.chatwoot import conversations, payloads, shapes, status
from sandbox.chatwoot.activities import note_assignee
from sandbox.chatwoot.conversations import change
from sandbox.chatwoot.messages import check_text, create_message, draft_of
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON, Bot, Conversation, User
from sandbox.chatwoot.routes.messages import sender_of
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.times import iso

_BASE = "/api/v1/accounts/{account}/conversations"
_ONE = _BASE + "/{conversation}"


def create(call: Call) -> JSON:
    place = conversations.find_place(call.store, call.account.id, call.fields)
    call.inbox(place.inbox_id)
    message = call.fields.get("message")
    draft = draft_of(message) if isinstance(message, dict) and message else None
    if draft:
        check_text(draft)
    row = conversations.open_conversation(call.store, place, call.fields)
    if draft:
        create_message(call.store, row, draft, sender_of(call, row, draft))
    if row.assignee_id is not None and call.store.announced(row.id):
        note_assignee(call.store, row)
    return shapes.conversation(call.store, row)


def show(call: Call) -> JSON:
    return shapes.conversation(call.store, call.conversation())


def update(call: Call) -> JSON:
    """Only the priority can be changed here."""
    if "priority" in call.fields:
        conversations.set_priority(call.store, call.conversation(), call.fields["priority"])
    return show(call)


def toggle_status(call: Call) -> JSON:
    row = call.conversation()
    wanted = call.fields.get("status")
    if not wanted:
        wanted = "resolved" if row.status == "open" else "open"
    handed_over = isinstance(call.owner, Bot) and (row.status, wanted) == ("pending", "open")
    status.set_status(call.store, row, wanted, call.parameters.number("snoozed_until"))
    if wanted == "open" and not call.is_administrator:
        _take_over(call, row)
    return {
        "payload": {
            "success": None if handed_over else True,
            "conversation_id": row.display_id,
            "current_status": row.status,
            "snoozed_until": iso(row.snoozed_until),
        },
    }


def _take_over(call: Call, row: Conversation) -> None:
    """An agent who opens a conversation gets it assigned; an administrator does not."""
    if isinstance(call.owner, User):
        change(call.store, row, assignee_id=call.user.id)


def toggle_typing(call: Call) -> None:
    """The one who types is the token's owner."""
    if isinstance(call.owner, Bot):
        shape = payloads.bot_webhook(call.owner)
    else:
        shape = payloads.user_webhook(call.user)
    typing = call.parameters.text("typing_status")
    private = call.fields.get("is_private")
    conversations.announce_typing(call.store, call.conversation(), typing, shape, private)


def update_last_seen(call: Call) -> JSON:
    row = call.conversation()
    row.agent_last_seen_at = call.store.now()
    if row.assignee_id == call.user.id:
        row.assignee_last_seen_at = row.agent_last_seen_at
    return shapes.conversation(call.store, row)


def unread(call: Call) -> JSON:
    row = call.conversation()
    incoming = [each for each in call.store.messages_of(row) if each.message_type == "incoming"]
    row.agent_last_seen_at = incoming[-1].created_at - 0.001 if incoming else None
    return shapes.conversation(call.store, row)


def delete(call: Call) -> None:
    conversations.delete_conversation(call.store, call.conversation())


def mute(call: Call) -> None:
    status.mute(call.store, call.conversation())


def unmute(call: Call) -> None:
    status.unmute(call.store, call.conversation())


def toggle_priority(call: Call) -> None:
    conversations.set_priority(call.store, call.conversation(), call.fields.get("priority"))


def custom_attributes(call: Call) -> JSON:
    """Replaces them all."""
    values = call.fields.get("custom_attributes") or {}
    conversations.check_attributes({"custom_attributes": values})
    change(call.store, call.conversation(), custom_attributes=values)
    return {"custom_attributes": values}


def list_labels(call: Call) -> JSON:
    return {"payload": call.conversation().labels}


def set_labels(call: Call) -> JSON:
    """Replaces them all; unknown ones are taken as well."""
    row = call.conversation()
    change(call.store, row, labels=[str(label) for label in call.fields.get("labels") or []])
    return {"payload": row.labels}


def assign(call: Call) -> JSON | None:
    """An unknown id takes the assignment away. With a team's id it is the team that is assigned."""
    row = call.conversation()
    if "team_id" in call.fields and "assignee_id" not in call.fields:
        return _assign_team(call, row)
    wanted = call.fields.get("assignee_id")
    user = call.store.users.rows.get(as_id(wanted)) if wanted else None
    known = user is not None and user.role_in(call.account.id) is not None
    change(call.store, row, assignee_id=user.id if user and known else None)
    return shapes.agent(user, call.account.id) if user and known else None


def _assign_team(call: Call, row: Conversation) -> JSON | None:
    """Answers with the bare row of the team."""
    wanted = call.parameters.number("team_id")
    team = None if wanted is None else call.store.teams.rows.get(wanted)
    kept = row.assignee_id
    if team and not conversations.may_have(call.store, team.id, kept):
        kept = None
    change(call.store, row, team_id=team.id if team else None, assignee_id=kept)
    return shapes.team_row(team) if team else None


def list_attachments(call: Call) -> JSON:
    rows = [row for row in call.store.messages_of(call.conversation()) if row.attachments]
    found = [
        {
            **shapes.attachment(call.store, row, file),
            "created_at": int(row.created_at),
            "sender": shapes.sender_push(call.store, row),
        }
        for row in reversed(rows)
        for file in row.attachments
    ]
    start = (max(1, call.parameters.number("page") or 1) - 1) * 100
    return {"meta": {"total_count": len(found)}, "payload": found[start : start + 100]}


ROUTES = (
    Route("POST", _BASE, Access.BOT, create),
    Route("GET", _ONE, Access.READING_BOT, show),
    Route("PATCH", _ONE, Access.BOT, update),
    Route("PUT", _ONE, Access.BOT, update),
    Route("DELETE", _ONE, Access.ADMINISTRATOR, delete),
    Route("POST", _ONE + "/toggle_status", Access.BOT, toggle_status),
    Route("POST", _ONE + "/toggle_typing_status", Access.TYPING_BOT, toggle_typing),
    Route("POST", _ONE + "/toggle_priority", Access.BOT, toggle_priority),
    Route("POST", _ONE + "/update_last_seen", Access.USER, update_last_seen),
    Route("POST", _ONE + "/unread", Access.USER, unread),
    Route("POST", _ONE + "/mute", Access.USER, mute),
    Route("POST", _ONE + "/unmute", Access.USER, unmute),
    Route("POST", _ONE + "/custom_attributes", Access.BOT, custom_attributes),
    Route("GET", _ONE + "/labels", Access.READING_BOT, list_labels),
    Route("POST", _ONE + "/labels", Access.READING_BOT, set_labels),
    Route("POST", _ONE + "/assignments", Access.BOT, assign),
    Route("GET", _ONE + "/attachments", Access.USER, list_attachments),
)
