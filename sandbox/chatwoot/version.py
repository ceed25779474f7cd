"""What differs between the releases of Chatwoot that the stand-in can play."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One release, as far as somebody who talks to it can tell it from the others."""

    number: str
    signs_webhooks: bool = False
    """Inboxes and account webhooks have a `secret`; deliveries carry signature and id."""
    searches_everybody: bool = False
    """Search finds contacts that have neither e-mail, phone nor identifier."""
    describes_files: bool = False
    """Attachments come with their content type and extension."""
    bots_may_read: bool = False
    """A bot's token may show a conversation, its labels and its typing."""


def version_named(name: str) -> Version:
    """The release that «4.10», «4.13» or «new» stands for. Raises ValueError for another name."""
    if name == "4.10":
        return Version("4.10.0")
    if name == "4.13":
        return Version(
            "4.13.0",
            signs_webhooks=True,
            searches_everybody=True,
            describes_files=True,
            bots_may_read=True,
        )
    if name == "new":
        return Version(
            "4.16.0",
            signs_webhooks=True,
            searches_everybody=True,
            describes_files=True,
            bots_may_read=True,
        )
    raise ValueError(f"no such version: {name!r}; there are 4.10, 4.13 and new")
