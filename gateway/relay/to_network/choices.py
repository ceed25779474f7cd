"""How a reply lets the customer choose: by buttons below it, or by the numbers of a list in it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.chatwoot import interactive, surveys
from gateway.chatwoot.events import Reply
from gateway.model import Button, Capabilities
from gateway.text import length


@dataclass(frozen=True, slots=True)
class Choices:
    """A reply's text, and what the customer may choose from."""

    text: str
    """Markdown."""
    buttons: tuple[Button, ...] = ()
    listed: tuple[str, ...] = ()
    """What the text numbers: a number is an answer as well."""


def choices_in(reply: Reply, able: Capabilities) -> Choices:
    """Buttons where the network has them, each choice fits on one, and there is a text for them to
    stand below. Otherwise the list: every reply that waits has it in its text, so that it can be
    sent by any release of the gateway, and over any network."""
    bare = interactive.without_list(reply.text, reply.choices)
    if bare != reply.text and _fits(reply.choices, able):
        buttons = (Button(label, number) for number, label in enumerate(reply.choices, start=1))
        return Choices(bare, buttons=tuple(buttons))
    return Choices(reply.text, listed=reply.choices)


def survey_in(reply: Reply, able: Capabilities, site: str, hint: str) -> Choices:
    """A survey with its five ratings as buttons, or else with a line that asks for a digit.

    `site`: where Chatwoot is, for the link. `hint`: the line.
    """
    link = f"{site}{reply.survey_page}" if reply.survey_page else ""
    text = interactive.BELOW.join(filter(None, (reply.text, link)))
    if _fits(surveys.RATINGS, able):
        buttons = (Button(label, number) for number, label in enumerate(surveys.RATINGS, start=1))
        return Choices(text, buttons=tuple(buttons))
    return Choices(interactive.BELOW.join(filter(None, (text, hint))))


def _fits(labels: tuple[str, ...], able: Capabilities) -> bool:
    limits = able.buttons
    return (
        limits is not None
        and len(labels) <= limits.most
        and all(length(label, able.text_unit) <= limits.label for label in labels)
    )
