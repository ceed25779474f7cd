"""Every key in Redis, and every field of the hashes there: nothing else in the product spells one.

The scripts have the same names from `prelude/keys.lua`. What each key holds, how long it stays and
who writes it is in docs/STORED_DATA.md. These names are frozen: Redis keeps what earlier releases
wrote.
"""

from __future__ import annotations

from typing import Final

from gateway.lanes.lane import Lane

PREFIX: Final = "gw:"

DESTINATIONS: Final = "gw:destinations"
"""Set: all destinations that a lane ever had."""
WAKE: Final = "gw:wake"
"""List: a drain that lingers waits for it."""
COUNTS: Final = "gw:counts"
"""Hash: `what|channel` → how often; `seconds_<kind>|channel` → seconds from accepted to done."""
DEAD_LETTERS: Final = "gw:dead_letters"
"""Stream: the messages that were given up on. Fields: `DeadLetterField`."""
HEARTBEATS: Final = "gw:heartbeats"
"""Hash: `role:host:process id` → Unix seconds."""
SERVER_RUN: Final = "gw:server_run"
"""String: run id of the server that was written to last."""
CLOCK: Final = "gw:clock"
"""Hash, `ClockField`: keeps the clock by which all times are taken from going back."""
SERVER_BEGAN: Final = "gw:server_began"
"""String: run id and `SEQUENCE` with which the server was met; absent: it has lost something."""
SEQUENCE: Final = "gw:sequence"
"""String: counts what was stored and what was delivered."""
FAILOVER: Final = "gw:failover"
"""String: Unix ms at which a server was met that may have lost something."""
FAILOVER_CLOSED: Final = "gw:failover_closed"
"""Set: destinations whose gates were not open then."""
EVENT_STREAMS: Final = "gw:event_streams"
"""Hash: Chatwoot account → JSON of whether the clock listens to its event stream."""
CHANNEL_STATES: Final = "gw:channel_states"
"""Hash: channel → JSON of whether the clock reaches its network."""
READY: Final = "gw:ready"
"""String: written to see whether Redis takes anything."""
TYPING: Final = "gw:typing"
"""List: `channel/conversation` in which an agent is typing."""
PRESSED: Final = "gw:pressed"
"""List: JSON of buttons that customers have pressed."""
LOCK_RINGER: Final = "gw:lock:ringer"
"""String: the worker that rings for the others."""


class MessageField:
    """Of `message`: what waits, and what the ledger knows of it. Times are Unix ms, Redis's own."""

    VERSION: Final = "v"
    """Of the body: `bodies.VERSION`."""
    KIND: Final = "kind"
    BODY: Final = "body"
    """Until it is delivered."""
    LANE: Final = "lane"
    DESTINATION: Final = "destination"
    CHANNEL: Final = "channel"
    ORDER: Final = "order"
    """Its place in the lane."""
    REQUEST: Final = "request"
    """Nonce of the request that stored it."""
    STATE: Final = "state"
    """waiting, sending, done, dead, dropped or withdrawn."""
    APPENDED: Final = "appended"
    """When it was accepted."""
    READY: Final = "ready"
    """When it may leave."""
    SLOT: Final = "slot"
    """The time that its rate has reserved for it."""
    ATTEMPTS: Final = "attempts"
    CRASHES: Final = "crashes"
    """Attempts that ended with the death of their worker."""
    REFUSALS: Final = "refusals"
    """Server errors about it."""
    REFUSED_AT: Final = "refused_at"
    """When the first of them was."""
    ERROR: Final = "error"
    """What went wrong last, for agents."""
    FIRST_ERROR: Final = "first_error"
    WORKER: Final = "worker"
    """Who attempts it."""
    TARGET: Final = "target"
    """Where the call was going that is under way, or uncertain."""
    ANNOUNCED_AT: Final = "announced_at"
    """When that call was announced."""
    UNCERTAIN: Final = "uncertain"
    """An attempt may have arrived: 1, or «failover» if nothing at all is known of it."""
    WAS_UNCERTAIN: Final = "was_uncertain"
    """The same, for ever: if it is there twice, this is why."""
    FAILOVER: Final = "failover"
    """The fail-over (`FAILOVER`) that made it uncertain: each does that once."""
    CONVERSATION: Final = "conversation"
    """Of a customer's message: where Chatwoot shows it."""
    SUBJECT: Final = "subject"
    """The reply that a status, deletion or check of Retry is about."""
    STATUS: Final = "status"
    """Of a reply: sent, delivered, read or failed."""
    REASON: Final = "reason"
    """Why it failed."""
    SHOWN: Final = "shown"
    """The status that Chatwoot shows; absent: sent; «marked failed»: Chatwoot decided that."""
    MARKED_FAILED: Final = "marked_failed"
    """Chatwoot did so while a status was being told."""
    TIMES_MARKED: Final = "times_marked"
    """How often Chatwoot has marked it by itself."""
    STATUS_LANE: Final = "status_lane"
    STATUS_DESTINATION: Final = "status_destination"
    PARTS: Final = "parts"
    """How many it has."""
    FAILURE: Final = "failure"
    """Why the network failed a part."""
    WITHDRAWN: Final = "withdrawn"
    """An agent deleted it."""
    REPLAYED: Final = "replayed"
    """Nonce of the request that put it back into its lane."""
    DROPPED: Final = "dropped"
    """Nonce of the request that dropped it."""
    DEAD_LETTER: Final = "dead_letter"
    """Its entry in `DEAD_LETTERS`."""
    TOLD_OF_DELAY: Final = "told_of_delay"
    """Nonce of the request that told agents of its delay."""
    NOTE_AFTER: Final = "note_after"
    """JSON of the note that is added when it is delivered after that."""


def part_field(number: int | str) -> str:
    """Of `message`: JSON list of a part's external ids."""
    return f"part:{number}"


def receipt_field(number: int | str) -> str:
    """Of `message`: what the network said of a part."""
    return f"receipt:{number}"


class GateField:
    """Of `gate`. Times are Unix ms."""

    STATE: Final = "state"
    """closed or probing; absent: open."""
    REASON: Final = "reason"
    UNTIL: Final = "until"
    """When the next probe may go."""
    SINCE: Final = "since"
    """When it closed."""
    FAILURES: Final = "failures"
    """In a row, while it is open."""
    CLOSINGS: Final = "closings"
    """Without an opening between them."""
    CAUSE: Final = "cause"
    """The trouble that closed it: down, credentials or failing."""
    PROBE: Final = "probe"
    """The lane that probes."""
    PAUSED: Final = "paused"
    """Until when the destination wants no calls."""
    SERVED_AT: Final = "served_at"
    """When it last took a message."""
    TAT: Final = "tat"
    """Theoretical arrival time of the next call at its rate (GCRA)."""


LAST_ORDER_FIELD: Final = "last_order"
"""Of `route`, out: the order of the youngest reply that has left. For scripts alone."""


class ClockField:
    """Of `CLOCK`. In ms."""

    SEEN: Final = "seen"
    """How far it has got."""
    AHEAD: Final = "ahead"
    """How much is added to the clock of Redis's host, since that went back."""
    STEPPED: Final = "stepped"
    """How far it went back the last time."""


class BrakeField:
    """Of `brake`."""

    SINCE: Final = "since"
    """When it was set on."""
    TAT: Final = "tat"


class PaceField:
    """Of `pace`."""

    TAT: Final = "tat"


class DeadLetterField:
    """Of an entry in `DEAD_LETTERS`."""

    ID: Final = "id"
    REASON: Final = "reason"
    CHANNEL: Final = "channel"
    KIND: Final = "kind"


def message(message_id: str) -> str:
    """Hash, `MessageField`: a message, and what the ledger knows of it."""
    return f"gw:msg:{message_id}"


def lane(lane: Lane | str) -> str:
    """Sorted set: the messages that wait in a lane → their order."""
    return f"gw:lane:{lane}"


def lease(lane: Lane | str) -> str:
    """String: the token of whoever has the lane."""
    return f"gw:lease:{lane}"


def answer(lane: Lane | str) -> str:
    """String: nonce and answer of the lane's last request, for its repetition."""
    return f"gw:answer:{lane}"


def route(lane: Lane | str) -> str:
    """Hash: the fields of `Route`, and `LAST_ORDER_FIELD`: what is remembered of a lane."""
    return f"gw:route:{lane}"


def pace(lane: Lane | str) -> str:
    """Hash, `PaceField`: the lane's own rate."""
    return f"gw:pace:{lane}"


def due(destination: str) -> str:
    """Sorted set: lanes of a destination → Unix ms at which they need attention."""
    return f"gw:due:{destination}"


def gate(destination: str) -> str:
    """Hash, `GateField`."""
    return f"gw:gate:{destination}"


def failing(destination: str) -> str:
    """Set: lanes that a destination has lately answered with a server error, and none else."""
    return f"gw:failing:{destination}"


def throttled(destination: str) -> str:
    """Set: lanes that a destination has just found too fast."""
    return f"gw:throttled:{destination}"


def claim(token: str) -> str:
    """List: lane, destination, lane, destination …: what a claim has leased, for its repetition."""
    return f"gw:claim:{token}"


def alive(worker: str) -> str:
    """String: there while the worker lives."""
    return f"gw:alive:{worker}"


def tombstone(message_id: str) -> str:
    """String: a reply that must not be sent when it comes."""
    return f"gw:tombstone:{message_id}"


def external(channel: str, external_id: str) -> str:
    """String: the part id behind a network's id; «spent» after a press of Retry."""
    return f"gw:external:{channel}:{external_id}"


def parked(channel: str, external_id: str) -> str:
    """List: JSON of receipts about an external id that is not known yet."""
    return f"gw:parked:{channel}:{external_id}"


def flood(kind: str, customer: str) -> str:
    """String: how many messages counted towards a brake in this window."""
    return f"gw:flood:{kind}:{customer}"


def brake(customer: str) -> str:
    """Hash, `BrakeField`: there while the brake is on. `customer`: `ids.brake`."""
    return f"gw:brake:{customer}"


def cursor(channel: str) -> str:
    """String: where the channel's poller has got to."""
    return f"gw:cursor:{channel}"


def caught_up(channel: str) -> str:
    """String: Unix seconds until which the channel's history was asked for."""
    return f"gw:caught_up:{channel}"


def hold(destination: str) -> str:
    """String: the return of a web process, after which the replies to this destination wait."""
    return f"gw:hold:{destination}"


def look_wanted(channel: str) -> str:
    """String: the return of a web process, after which nobody has looked at the inbox yet."""
    return f"gw:look_wanted:{channel}"


def catch_up_wanted(channel: str) -> str:
    """String: the return of a web process, after which nobody has asked the network yet."""
    return f"gw:catch_up_wanted:{channel}"


def watermark(channel: str) -> str:
    """String: JSON of a `Watermark`."""
    return f"gw:watermark:{channel}"


def address_change(channel: str, peer: str) -> str:
    """String: JSON of an `AddressChange`, by the address that was taken away."""
    return f"gw:address_change:{channel}:{peer}"


def former_address(channel: str, peer: str) -> str:
    """String: the address in whose place an agent put this one."""
    return f"gw:former_address:{channel}:{peer}"


def failed_call(channel: str) -> str:
    """String: JSON of a `NotedCall`, the last call of Chatwoot's that did not reach us."""
    return f"gw:failed_call:{channel}"


def contact(account: str, contact_id: int) -> str:
    """String: JSON of a contact's phone, e-mail and identifier, as last told by an event stream."""
    return f"gw:contact:{account}:{contact_id}"


def avatar(channel: str, peer: str) -> str:
    """String: JSON of the picture that a contact was given."""
    return f"gw:avatar:{channel}:{peer}"


def typing_in(conversation: str) -> str:
    """String: JSON of the place that may be shown that an agent is typing; empty once it was.

    `conversation`: as in `TYPING`.
    """
    return f"gw:typing:{conversation}"


def webhook(channel: str, name: str) -> str:
    """String: a signed webhook of Chatwoot that was taken, by its id or its signature."""
    return f"gw:webhook:{channel}:{name}"


def unreadable(channel: str, fingerprint: str) -> str:
    """String: how often a webhook came that the adapter cannot read."""
    return f"gw:unreadable:{channel}:{fingerprint}"


def reading(channel: str) -> str:
    """Hash: what a poll brought and is being read → how often that began."""
    return f"gw:reading:{channel}"


def lock_poller(channel: str) -> str:
    """String: the clock that polls the channel, or listens to it."""
    return f"gw:lock:poller:{channel}"


def lock_catch_up(channel: str) -> str:
    """String: the clock that asks for the channel's history."""
    return f"gw:lock:catch_up:{channel}"


def lock_housekeeping(task: str) -> str:
    """String: there until the task is due again."""
    return f"gw:lock:housekeeping:{task}"


def lock_reconciler(channel: str) -> str:
    """String: the clock that reconciles the channel."""
    return f"gw:lock:reconciler:{channel}"


def lock_event_stream(account: str) -> str:
    """String: the clock that listens to the event stream of a Chatwoot account."""
    return f"gw:lock:event_stream:{account}"


def lock_person(account: str, value: str) -> str:
    """String: the lane that looks for a contact, by each address of the person."""
    return f"gw:lock:person:{account}:{value}"
