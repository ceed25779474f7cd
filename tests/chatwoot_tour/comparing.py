"""What two visits differ in: status, keys, types, and values where they can be alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.chatwoot_tour.visits import Visit, Webhook

_TYPES = {
    "NoneType": "null",
    "str": "text",
    "bool": "truth",
    "int": "number",
    "float": "decimal",
}
_OF_ITS_OWN = re.compile(
    r"uuid|identifier|inbox_identifier"
    r"|\w+_token|secret"
    r"|\w+_at|timestamp|waiting_since|inbox|label|team"
    r"|(data|thumb|avatar)_url|avatar|thumbnail"
)
"""Keys whose values no two installations share: tokens, times, addresses of files. Ids are the same
as long as as many rows were made, lines about changes and refused rows among them."""
_SOMEWHERE = re.compile(r"http://(127\.0\.0\.1:\d+|(chatwoot|gateway)\.example)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCRUBBED = "<"
"""What recorded headers begin with whose values are of one installation."""


def differences(theirs: Visit, ours: Visit, without: Collection[str] = ()) -> list[str]:
    """In words; none if the two are alike. `without`: keys that are left out."""
    return _Comparison(frozenset(without)).of_visits(theirs, ours)


@dataclass(frozen=True, slots=True)
class _Comparison:
    without: frozenset[str]

    def of_visits(self, theirs: Visit, ours: Visit) -> list[str]:
        if theirs.status != ours.status:
            return [f"answers {ours.status}, not {theirs.status}: {ours.body!r:.200}"]
        return [
            *(f"answer {told}" for told in self.of_values(theirs.body, ours.body)),
            *self.of_all_webhooks(theirs.webhooks, ours.webhooks),
        ]

    def of_values(self, theirs: Any, ours: Any) -> list[str]:
        wanted, found = self.facts(theirs), self.facts(ours)
        told = []
        for place in sorted(wanted.keys() | found.keys()):
            if place not in found:
                told.append(f"lacks {place} ({_listed(wanted[place])})")
            elif place not in wanted:
                told.append(f"has too much {place} ({_listed(found[place])})")
            elif wanted[place] != found[place]:
                told.append(f"{place} is {_listed(found[place])}, not {_listed(wanted[place])}")
        return told

    def facts(self, value: Any) -> dict[str, set[str]]:
        """Each place and what stands there; the items of a list share one place."""
        facts: dict[str, set[str]] = defaultdict(set)
        for place, fact in self.leaves(value, "", ""):
            facts[place].add(fact)
        return facts

    def leaves(self, value: Any, key: str, place: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            value = {name: inner for name, inner in value.items() if name not in self.without}
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                wrapped = name in {"previous_value", "current_value"}
                yield from self.leaves(inner, key if wrapped else name, f"{place}.{name}")
        elif isinstance(value, list) and value:
            for inner in value:
                yield from self.leaves(inner, key, place + "[]")
        else:
            yield place, _fact(value, key)

    def of_all_webhooks(
        self, theirs: tuple[Webhook, ...], ours: tuple[Webhook, ...]
    ) -> Iterator[str]:
        """Each recorded webhook is held against the one of ours that is most like it."""
        left = list(ours)
        for wanted in theirs:
            name = f"webhook {wanted.event} to {wanted.to}"
            alike = [each for each in left if (each.to, each.event) == (wanted.to, wanted.event)]
            if not alike:
                yield f"{name} did not come"
                continue
            told, nearest = min(
                ((self.of_webhooks(wanted, each), each) for each in alike),
                key=lambda pair: len(pair[0]),
            )
            left.remove(nearest)
            yield from (f"{name} {each}" for each in told)
        yield from (f"webhook {each.event} to {each.to} came too much" for each in left)

    def of_webhooks(self, theirs: Webhook, ours: Webhook) -> list[str]:
        told = self.of_values(theirs.body, ours.body)
        for name in sorted(theirs.headers.keys() | ours.headers.keys()):
            wanted, found = theirs.headers.get(name), ours.headers.get(name)
            scrubbed = found is not None and wanted is not None and wanted.startswith(_SCRUBBED)
            if found != wanted and not scrubbed:
                told.append(f"header {name} is {found!r}, not {wanted!r}")
        return told


def _fact(value: Any, key: str) -> str:
    """The type, and the value if it can be the same in two installations."""
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    kind = _TYPES[type(value).__name__]
    if value is None or _OF_ITS_OWN.fullmatch(key):
        return kind
    if isinstance(value, str):
        value = _UUID.sub("<uuid>", _SOMEWHERE.sub("<somewhere>", value))
    return f"{kind} {value!r:.80}"


def _listed(facts: set[str]) -> str:
    return " or ".join(sorted(facts))
