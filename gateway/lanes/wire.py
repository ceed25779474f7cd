"""How values travel to the scripts and back: as JSON, and as flat lists of fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from gateway.lanes.keys import MessageField, part_field
from gateway.lanes.lane import Lane
from gateway.lanes.route import Route
from gateway.lanes.subject import Subject
from gateway.lanes.values import CursorMove, Entry, Kind, LeaseVoid, Note, Taken

PART = part_field("")


def storable(value: object) -> str:
    """As JSON, with every character as it is: half a surrogate pair, written as an escape, would
    stop the script, and the whole batch for ever. `Scripts` replaces one without its other half."""
    return json.dumps(value, ensure_ascii=False)


def item(entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": entry.id,
        "lane": str(entry.lane),
        "destination": entry.destination,
        "kind": entry.kind,
        "channel": entry.lane.channel,
        "body": entry.body,
        "settle": round(entry.settle * 1000),
        "age": round(entry.age * 1000),
        "order": entry.order,
        "written": None if entry.written is None else round(entry.written * 1000),
    }
    if entry.brake:
        window = round(entry.brake.window * 1000)
        item["brake"] = {"of": entry.brake.of, "most": entry.brake.most, "window": window}
    if entry.status_destination:
        item["status_lane"] = str(Lane("status", entry.lane.channel, entry.lane.key))
        item["status_destination"] = entry.status_destination
        item["shown"] = entry.shown or "sent"
    return item


def cursor(move: CursorMove) -> dict[str, str]:
    return {"channel": move.channel, "token": move.token, "cursor": move.cursor}


def note(note: Note) -> dict[str, str]:
    return {
        "id": note.id,
        "lane": str(note.lane),
        "destination": note.destination,
        "channel": note.lane.channel,
        "body": note.body,
    }


def sequence_in(answer: list[Any]) -> int | None:
    """The sequence number behind what was handed out; None in the answer to a repetition."""
    length = {"rest": 1, "next": 7}.get(answer[0], len(answer))
    return int(answer[length]) if len(answer) > length else None


def read_taken(answer: list[Any]) -> Taken | None:
    if answer[0] == "void":
        raise LeaseVoid
    if answer[0] == "rest":
        return None
    _, message, flat, subject_flat, route_flat, now, gate_ok, *_ = answer
    known, subject = _pairs(flat), _pairs(subject_flat)
    refused_at = int(known.get(MessageField.REFUSED_AT, 0))
    return Taken(
        id=message,
        kind=cast(Kind, known[MessageField.KIND]),
        body=known.get(MessageField.BODY, ""),
        version=known.get(MessageField.VERSION, ""),
        age=(now - int(known[MessageField.APPENDED])) / 1000,
        attempts=int(known.get(MessageField.ATTEMPTS, 0)),
        crashes=int(known.get(MessageField.CRASHES, 0)),
        refusals=int(known.get(MessageField.REFUSALS, 0)),
        uncertain=MessageField.UNCERTAIN in known,
        since_announced=(now - int(known.get(MessageField.ANNOUNCED_AT, now))) / 1000,
        target=known.get(MessageField.TARGET, ""),
        served_since_refusal=bool(refused_at) and int(gate_ok) > refused_at,
        parts=_parts(known),
        subject=Subject.read(subject, _parts(subject)),
        route=Route.read(_pairs(route_flat)),
        replayed=MessageField.REPLAYED in known,
        after_failover=known.get(MessageField.UNCERTAIN) == "failover",
    )


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _parts(known: Mapping[str, str]) -> dict[int, tuple[str, ...]]:
    return {
        int(name.removeprefix(PART)): tuple(json.loads(value))
        for name, value in known.items()
        if name.startswith(PART)
    }
