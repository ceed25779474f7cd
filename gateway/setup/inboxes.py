"""Creates or corrects a channel's inbox in Chatwoot. What is right already is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.adapter import Finding
from gateway.chatwoot.admin import API_INBOX, Agent
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.values import Inbox
from gateway.config import Channel
from gateway.setup.checks.signing import look_at_signing


@dataclass(frozen=True, slots=True)
class WantedInbox:
    """A channel's inbox as it is to be."""

    name: str
    """Used to find or create it if its number is unknown."""
    number: int | None
    webhook_url: str
    """Where the inbox calls us; empty if it need not."""
    channel: Channel
    agents: tuple[str, ...]
    """E-mail addresses of those who are to work in it. Empty: everybody, if nobody does yet."""
    owns: Callable[[str], bool]
    """Whether a webhook address is one of the channel's."""


class InboxUnclear(Exception):
    """The inbox is ambiguous or unusable. Says what is wrong, and the cure."""

    def __init__(self, wrong: str, cure: str) -> None:
        super().__init__(wrong)
        self.cure = cure


@dataclass(slots=True)
class InboxSetup:
    """The inboxes of one account. `taken`: the numbers of those that other channels have."""

    chatwoot: Chatwoot
    taken: set[int] = field(default_factory=set)
    found: dict[str, Inbox] = field(default_factory=dict)
    """The inboxes that are there now, by channel."""

    def set_up(self, wanted: WantedInbox) -> Iterator[Finding]:
        """Create or correct the inbox. Raises a `DeliveryError` if Chatwoot does not answer."""
        try:
            inbox, found = self._find_or_create(wanted)
        except InboxUnclear as unclear:
            yield Finding.bad("inbox", str(unclear), unclear.cure)
            return
        self.taken.add(inbox.id)
        self.found[wanted.channel.name] = inbox
        yield found
        if wanted.webhook_url:
            yield self._set_webhook(inbox, wanted)
            yield look_at_signing(wanted.channel, inbox.secret)
        else:
            yield self._no_webhook(inbox, wanted)
        yield self._add_members(inbox, wanted.agents)

    def _find_or_create(self, wanted: WantedInbox) -> tuple[Inbox, Finding]:
        if wanted.number is not None:
            try:
                return self._find_by_number(wanted.number)
            except Missing:
                pass  # deleted, or the number is wrong: find or create one by name
        return self._find_by_name(wanted) or self._create(wanted)

    def _find_by_number(self, number: int) -> tuple[Inbox, Finding]:
        inbox = self.chatwoot.inbox(number)
        if inbox.channel_type != API_INBOX:
            raise InboxUnclear(
                f"inbox {number} «{inbox.name}» is a {inbox.channel_type}, not an API inbox",
                "Replace the number by the name of a new one, in quotes, and run setup again.",
            )
        return inbox, Finding.good("inbox", f"«{inbox.name}» exists, number {number}")

    def _find_by_name(self, wanted: WantedInbox) -> tuple[Inbox, Finding] | None:
        named = [
            inbox
            for inbox in self.chatwoot.admin.inboxes()
            if inbox.name == wanted.name
            and inbox.channel_type == API_INBOX
            and inbox.id not in self.taken
        ]
        if len(named) > 1:
            numbers = ", ".join(str(inbox.id) for inbox in named)
            raise InboxUnclear(
                f"several API inboxes are called «{wanted.name}»: {numbers}",
                "Write the number of the right one: inbox = NUMBER.",
            )
        if not named:
            return None
        text = f"«{wanted.name}» exists, number {named[0].id}"
        return named[0], Finding.good("inbox", text)

    def _create(self, wanted: WantedInbox) -> tuple[Inbox, Finding]:
        inbox = self.chatwoot.admin.create_inbox(wanted.name, wanted.webhook_url)
        return inbox, Finding.changed("inbox", f"created «{wanted.name}», number {inbox.id}")

    def _set_webhook(self, inbox: Inbox, wanted: WantedInbox) -> Finding:
        if inbox.webhook_url == wanted.webhook_url:
            return Finding.good("webhook", "the inbox calls this gateway")
        self.chatwoot.admin.set_webhook_url(inbox.id, wanted.webhook_url)
        return Finding.changed("webhook", "the inbox calls this gateway from now on")

    def _no_webhook(self, inbox: Inbox, wanted: WantedInbox) -> Finding:
        """An address of ours is taken out: Chatwoot marks messages as failed if it finds nobody.
        Somebody else's is left alone."""
        if inbox.webhook_url and wanted.owns(inbox.webhook_url):
            self.chatwoot.admin.set_webhook_url(inbox.id, "")
            return Finding.changed("webhook", "the inbox calls this gateway no longer: it listens")
        return Finding.good("webhook", "the inbox need not call: we listen to the event stream")

    def _add_members(self, inbox: Inbox, emails: tuple[str, ...]) -> Finding:
        members = self.chatwoot.admin.members(inbox.id)
        if members and not emails:
            return Finding.good("agents", f"{_names(members)} work in it")
        everybody = self.chatwoot.admin.agents()
        known = {agent.email.casefold(): agent for agent in everybody}
        if strangers := [email for email in emails if email.casefold() not in known]:
            return Finding.bad(
                "agents",
                f"the account has no agent with the address {', '.join(strangers)}",
                "Invite them in Chatwoot (Settings, Agents), or correct --agents.",
            )
        wanted = [known[email.casefold()] for email in emails] or list(everybody)
        new = [agent for agent in wanted if agent not in members]
        if not new:
            return Finding.good("agents", f"{_names(members)} work in it")
        self.chatwoot.admin.set_members(inbox.id, [*members, *new])
        return Finding.changed("agents", f"{_names(new)} work in it from now on")


def _names(agents: Sequence[Agent]) -> str:
    return ", ".join(agent.name or agent.email for agent in agents)
