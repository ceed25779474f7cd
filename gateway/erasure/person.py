"""Who a person is: the names by which what is stored can be told to be theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.lanes import ids

Name: TypeAlias = tuple[str, str, str]
"""Its sort (address, fact or conversation), its channel (empty for a fact), and the name itself."""

_IN_A_NUMBER = re.compile(r"[\s()./-]")


def address(channel: str, peer: str) -> Name:
    """An address on a channel."""
    return ("address", channel, peer.casefold())


def fact(text: str) -> Name:
    """A phone number, an e-mail address or an identifier: true on every channel."""
    return ("fact", "", text.casefold())


def conversation(channel: str, number: int | str) -> Name:
    """A conversation in Chatwoot."""
    return ("conversation", channel, str(number))


def facts(*texts: object) -> set[Name]:
    """Those of the texts that say something."""
    return {fact(text) for text in texts if isinstance(text, str) and text}


def addresses(channel: str, *peers: object) -> set[Name]:
    """The addresses, and the phone numbers and e-mail addresses that they are («whatsapp:+1…»).
    Of a long one also the digest by which lanes are named."""
    found: set[Name] = set()
    for peer in peers:
        if isinstance(peer, str) and peer:
            found |= {address(channel, peer), address(channel, ids.short_name(peer))}
            bare = peer.rpartition(":")[2]
            if bare.startswith("+") or "@" in bare:
                found.add(fact(bare))
    return found


def names_of(typed: str, channels: Iterable[str]) -> frozenset[Name]:
    """What somebody may mean who types this: a fact, or an address on one of the channels."""
    text = typed.strip()
    if text.startswith("+"):
        text = _IN_A_NUMBER.sub("", text)
    return frozenset({fact(text), *(each for name in channels for each in addresses(name, text))})


@dataclass(frozen=True, slots=True)
class Trace:
    """One thing that is stored, and the names in it. A person's are those that share a name with
    them, or with another one of theirs."""

    key: str
    names: frozenset[Name]
    message: str = ""
    """The id, if it is a message."""
    lane: str = ""
    """The lane that it waits in, or is remembered of."""


def traces_of(person: frozenset[Name], traces: Iterable[Trace]) -> tuple[list[Trace], set[Name]]:
    """A person's traces, and all the names that they turned out to have."""
    names, theirs, others = set(person), list[Trace](), list(traces)
    while True:
        found = [each for each in others if not names.isdisjoint(each.names)]
        if not found:
            return theirs, names
        theirs += found
        names.update(*(each.names for each in found))
        known = {each.key for each in found}
        others = [each for each in others if each.key not in known]
