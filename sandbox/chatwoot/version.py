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
    """A bot's token may show a conversation and its labels."""


_RELEASES = (
    Version("4.10.1"),
    Version("4.13.0", signs_webhooks=True, searches_everybody=True, describes_files=True),
    Version(
        "4.15.1",
        signs_webhooks=True,
        searches_everybody=True,
        describes_files=True,
        bots_may_read=True,
    ),
)
RELEASES = tuple(release.number for release in _RELEASES)
NEWEST = RELEASES[-1]


def version_named(number: str) -> Version:
    """The release with this number. Raises ValueError if the stand-in does not play it."""
    for release in _RELEASES:
        if release.number == number:
            return release
    raise ValueError(f"release {number!r} is not played here; choose one of {', '.join(RELEASES)}")
