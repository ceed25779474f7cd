"""What differs between the releases of Chatwoot that the stand-in can play."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Version:
    """One release, as far as somebody who talks to it can tell it from the others."""

    number: str
    user_agent: str
    """What webhooks call their sender."""
    read_timeout: str
    """What a message says whose webhook was not answered in time."""
    features: tuple[str, ...]
    """Those of a fresh account that came or went with a release."""
    signs_webhooks: bool = False
    """Inboxes, bots and account webhooks have a `secret`; deliveries carry signature and id."""
    searches_everybody: bool = False
    """Search finds contacts that have neither e-mail, phone nor identifier."""
    describes_files: bool = False
    """Attachments come with their content type and extension."""
    bots_may_type: bool = False
    """A bot's token may switch typing on and off."""
    bots_may_read: bool = False
    """A bot's token may show a conversation and its labels."""
    tells_bots_of_changes: bool = False
    """Bots are told when a conversation changes, and not only that it was opened or resolved."""
    keeps_places_apart: bool = False
    """The public interface shows a contact's conversations of that very place only."""
    names_accounts: bool = False
    """The conversation in a webhook names its account."""
    follows_redirects: bool = False
    """Webhooks go where a redirect points, ten times at most."""
    guards_private_addresses: bool = False
    """Webhooks to private addresses are refused, unless the installation allows them."""
    takes_webp: bool = False
    """A contact's picture may be a WebP."""
    guesses_companies: bool = False
    """A contact with an e-mail address gets a `company_name` from its domain."""
    touches_audio: bool = False
    """A message with a recording is told of once more; its address asks to be played in place."""
    tells_onboarding: bool = False
    """The profile says how far each account's setting up went."""


_REST_CLIENT = "rest-client/2.1.0 (linux-gnu x86_64) ruby/3.3.8p144"

_V4_10_1 = Version(
    "4.10.1",
    _REST_CLIENT,
    "Timed out reading data from server",
    features=("channel_twitter", "report_v4"),
)
_V4_13_0 = replace(
    _V4_10_1,
    number="4.13.0",
    features=("assignment_v2", "captain_tasks", "channel_twitter"),
    signs_webhooks=True,
    searches_everybody=True,
    describes_files=True,
    bots_may_type=True,
    tells_bots_of_changes=True,
)
_V4_15_1 = replace(
    _V4_13_0,
    number="4.15.1",
    user_agent="Ruby",
    read_timeout="Net::ReadTimeout with #<TCPSocket:(closed)>",
    features=("assignment_v2", "captain_tasks"),
    bots_may_read=True,
    keeps_places_apart=True,
    names_accounts=True,
    follows_redirects=True,
    guards_private_addresses=True,
    takes_webp=True,
    guesses_companies=True,
    touches_audio=True,
    tells_onboarding=True,
)
_RELEASES = (_V4_10_1, _V4_13_0, _V4_15_1)
RELEASES = tuple(release.number for release in _RELEASES)
NEWEST = RELEASES[-1]


def version_named(number: str) -> Version:
    """The release with this number. Raises ValueError if the stand-in does not play it."""
    for release in _RELEASES:
        if release.number == number:
            return release
    raise ValueError(f"release {number!r} is not played here; choose one of {', '.join(RELEASES)}")
