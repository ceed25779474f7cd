"""Private notes for agents: what each is called, and the lane that it goes through.

A note is left once: one of the same name is dropped.
"""

from __future__ import annotations

from gateway.lanes import bodies, ids
from gateway.lanes.bodies import NoteText
from gateway.lanes.values import Delayed, Entry, Note


def burial_note(
    message: str, channel: str, conversation: int, *, destination: str, text: str
) -> Note:
    """The message was given up on."""
    return _note(f"n:{message}", channel, destination, NoteText(conversation, text))


def deletion_note(
    deletion: str, channel: str, conversation: int, *, destination: str, text: str
) -> Note:
    """A reply could not be taken back. Of several refusals the first is told."""
    return _note(f"{deletion}:note", channel, destination, NoteText(conversation, text))


def delay_note(delayed: Delayed, *, destination: str, text: str) -> Note:
    """The reply waits."""
    return _about_reply(delayed, "delayed", destination, text)


def arrival_note(delayed: Delayed, *, destination: str, text: str) -> Note:
    """The reply waits no more."""
    return _about_reply(delayed, "arrived", destination, text)


def flood_entry(
    customer: str, since: str, channel: str, conversation: int, *, destination: str, text: str
) -> Entry:
    """The customer's brake is on since then. An entry, because appending it tells whether it is
    new, and fails in a full Redis."""
    note = _note(f"n:{customer}:{since}", channel, destination, NoteText(conversation, text))
    return Entry(note.id, note.lane, note.destination, "note", note.body)


def _about_reply(delayed: Delayed, what: str, destination: str, text: str) -> Note:
    """Shown below the reply."""
    number, conversation = ids.reply_number(delayed.message), int(delayed.lane.key)
    body = NoteText(conversation, text, in_reply_to=number)
    return _note(f"{delayed.message}:{what}", delayed.lane.channel, destination, body)


def _note(name: str, channel: str, destination: str, body: NoteText) -> Note:
    lane = ids.status_lane(channel, body.conversation)
    return Note(id=name, lane=lane, destination=destination, body=bodies.write(body))
