"""What is not compared, and why: at most ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.chatwoot_tour.visits import Visit


@dataclass(frozen=True, slots=True)
class Exemption:
    """Keys that are left out in the steps with these titles; without titles, in every step."""

    keys: tuple[str, ...]
    why: str
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spill:
    """An event's webhooks that came while later steps were taken already."""

    event: str
    of: str
    into: tuple[str, ...]
    why: str


EXEMPTIONS = (
    Exemption(
        ("avatar_url_hash", "last_avatar_sync_at"),
        "a job of Chatwoot looks for the picture of everybody with an e-mail address elsewhere, "
        "some seconds or half a minute later; the stand-in looks nowhere",
    ),
    Exemption(
        ("width", "height"),
        "a job of Chatwoot measures pictures some seconds later; the stand-in measures none",
    ),
    Exemption(
        ("availability_status",),
        "in jobs it is null, or that of the request before which the same thread served: chance",
    ),
    Exemption(
        ("first_reply_created_at",),
        "two changes follow each other at once, and it is chance whether the first one's webhooks "
        "are made before the second",
        ("conversation made with everything", "reply of the agent", "reply before the survey"),
    ),
    Exemption(
        ("external_error",),
        "the same of the two changes that a Retry makes",
        ("message retried, not failed", "message retried, failed"),
    ),
    Exemption(
        ("assignee", "assignee_type", "assignee_id"),
        "the same of the two changes when an agent opens a conversation and so takes it over",
        ("status open",),
    ),
    Exemption(
        ("messages",),
        "the same of a resolved conversation, whose newest message is the survey a moment later",
        ("resolved, surveyed",),
    ),
    Exemption(
        ("status",),
        "some of these webhooks were made when the conversation was resolved already: see SPILLS",
        ("public seen",),
    ),
)
SPILLS = (
    Spill(
        "message_updated",
        "public seen",
        ("public seen, conversation of another source_id", "status resolved"),
        "each of fifteen messages that were read is told of by a job of its own, for seconds",
    ),
)


def left_out(title: str) -> set[str]:
    """The keys that are not compared in this step."""
    here = [each for each in EXEMPTIONS if title in each.titles or not each.titles]
    return {key for exemption in here for key in exemption.keys}


def gathered(visits: Sequence[Visit]) -> list[Visit]:
    """With webhooks that spilled into later steps back where they belong."""
    found = {visit.title: visit for visit in visits}
    for spill in SPILLS:
        for title in spill.into:
            webhooks = found[title].webhooks
            strays = tuple(each for each in webhooks if each.event == spill.event)
            rest = tuple(each for each in webhooks if each.event != spill.event)
            found[title] = replace(found[title], webhooks=rest)
            home = found[spill.of]
            found[spill.of] = replace(home, webhooks=(*home.webhooks, *strays))
    return list(found.values())
