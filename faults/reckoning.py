"""The end of a run: what Chatwoot and the customers hold, against what was fed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from faults.books import Books
from faults.notes import Notes, Stream
from faults.traffic import read_name
from faults.verdict import History, Verdict, judge_all
from sandbox.chatwoot import ChatwootStandIn

MOST_LATE = 0.05
"""Share of the replies that may come after younger ones, because they were told of late.

Runs of 2,000 messages with 40 kills had between 0.2 and 2.8 in a hundred; one is the aim."""
REPLICATION = 1.0
"""Seconds that a replica that is connected may be behind."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Both directions, each with its verdict."""

    inward: Verdict
    outward: Verdict
    second_conversations: int
    """Of customers who should have one: a conversation that was made twice."""
    replies: int = 0
    """How many agents wrote."""

    @property
    def lost(self) -> int:
        return self.inward.lost + self.outward.lost

    @property
    def doubled_in_chatwoot(self) -> int:
        """Nothing excuses these."""
        return self.inward.doubled + self.second_conversations

    @property
    def doubled_on_channel(self) -> int:
        """With those that were uncertain attempts."""
        return self.outward.doubled + self.outward.repeated

    @property
    def reordered(self) -> int:
        return self.inward.reordered + self.outward.reordered

    @property
    def late(self) -> int:
        return self.inward.late + self.outward.late

    @property
    def late_replies(self) -> int:
        """Whose webhook came late, or never. What networks tell late nobody can put right."""
        return self.outward.late

    @property
    def not_replicated(self) -> int:
        return self.inward.not_replicated + self.outward.not_replicated

    @property
    def kept(self) -> bool:
        """Whether the promise was."""
        broken = self.lost or self.doubled_in_chatwoot or self.reordered or self.outward.doubled
        return not broken and self.late_replies <= MOST_LATE * self.replies

    @property
    def words(self) -> tuple[str, ...]:
        """What was wrong, message by message."""
        second = f"customers with a second conversation: {self.second_conversations}"
        return (
            *self.inward.told,
            *self.outward.told,
            *([second] if self.second_conversations else []),
        )


def reckon(
    notes: Notes,
    chatwoot: ChatwootStandIn,
    books: Books,
    *,
    settle: float,
    resolved: Mapping[str, int],
    failed_over: Sequence[float] = (),
) -> Reckoning:
    """Compare. `settle`: the seconds of the channels' setting of that name; `resolved`: how often
    a customer's conversation was closed, by the customer's name; `failed_over`: when a primary was
    killed and left everything to its replica, on the clock of the notes.

    Raises redis.RedisError.
    """
    streams = notes.streams()
    shown = _shown_in_chatwoot(chatwoot)
    return Reckoning(
        inward=judge_all(_inward(streams, shown, failed_over)),
        outward=judge_all(_outward(streams, books, settle, failed_over)),
        second_conversations=_second_conversations(chatwoot, resolved),
        replies=sum(len(each.fed) for name, each in streams.items() if name.startswith("out:")),
    )


def _inward(
    streams: Mapping[str, Stream], shown: Mapping[str, list[int]], failed_over: Sequence[float]
) -> Iterator[History]:
    """A network tells of a message until it hears «200», and owes nothing before."""
    for name, stream in streams.items():
        if name.startswith("in:"):
            told = frozenset(n for n, fed in stream.fed.items() if isfinite(fed.told))
            waived = frozenset(n for n in told if _just_before(stream.fed[n].told, failed_over))
            arrived = shown.get(name, [])
            yield History(name, stream.fed, arrived, owed=told - waived, waived=waived)


def _just_before(told: float, failed_over: Sequence[float]) -> bool:
    """Whether a replica that took over may not have heard what was answered for at that time. An
    answer reaches the network a little later than it was given."""
    return any(abs(told - at) <= REPLICATION for at in failed_over)


def _outward(
    streams: Mapping[str, Stream], books: Books, settle: float, failed_over: Sequence[float]
) -> Iterator[History]:
    """Every reply that Chatwoot holds is owed to the customer, whatever became of its webhook."""
    for name, stream in streams.items():
        if name.startswith("out:"):
            yield History(
                name,
                stream.fed,
                [number for number, _ in stream.arrived],
                owed=frozenset(stream.fed),
                excused=frozenset(_uncertain(stream, books)),
                found_again=frozenset(_found_again(stream, books, settle, failed_over)),
                settle=settle,
            )


def _uncertain(stream: Stream, books: Books) -> Iterator[int]:
    """Of the replies that came more than once those that the gateway says it was uncertain of."""
    times = Counter(stream.arrived)
    for (number, part), count in times.items():
        if count > 1 and books.was_uncertain(part.partition("#")[0]):
            yield number


def _found_again(
    stream: Stream, books: Books, settle: float, failed_over: Sequence[float]
) -> Iterator[int]:
    """The replies whose webhook was answered for immediately before a fail-over, and which the
    gateway then did not know: it has stored them from a look at Chatwoot."""
    for number, part in stream.arrived:
        may_be_lost = _just_before(stream.fed[number].told, failed_over)
        if may_be_lost and books.was_missed(part.partition("#")[0], settle):
            yield number


def _shown_in_chatwoot(chatwoot: ChatwootStandIn) -> Mapping[str, list[int]]:
    """By stream: the customers' messages, oldest first. Removed doubles do not count."""
    found: dict[str, list[int]] = defaultdict(list)
    with chatwoot.store.reading():
        for row in chatwoot.store.messages:
            if row.message_type == "incoming" and not row.content_attributes.get("deleted"):
                message = read_name(row.content or "")
                if message is not None:
                    found[message.stream].append(message.number)
    return found


def _second_conversations(chatwoot: ChatwootStandIn, resolved: Mapping[str, int]) -> int:
    """A customer may have one, and one more for each that was closed."""
    store = chatwoot.store
    with store.reading():
        count = Counter(store.contacts.get(row.contact_id).name for row in store.conversations)
    return sum(max(0, number - 1 - resolved.get(name, 0)) for name, number in count.items())
