"""Making a channel's inbox in Chatwoot what it should be. What is so already is left alone."""

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
class Wanted:
    """A channel's inbox as it should be."""

    name: str
    """By which it is found, or made, if its number is not known."""
    number: int | None
    webhook_url: str
    """Where the inbox calls us; empty if it need not."""
    channel: Channel
    agents: tuple[str, ...]
    """E-mail addresses of those who should work in it. Empty: everybody, if nobody does."""
    owns: Callable[[str], bool]
    """Whether a webhook address is one of the channel's."""


class InboxUnclear(Exception):
    """It cannot be told which inbox is meant, or it cannot serve. Says what is wrong, and cure."""

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

    def make(self, wanted: Wanted) -> Iterator[Finding]:
        """Bring the inbox about. Raises a `DeliveryError` if Chatwoot cannot be asked."""
        try:
            inbox, found = self._inbox(wanted)
        except InboxUnclear as unclear:
            yield Finding.bad("inbox", str(unclear), unclear.cure)
            return
        self.taken.add(inbox.id)
        self.found[wanted.channel.name] = inbox
        yield found
        if wanted.webhook_url:
            yield self._webhook(inbox, wanted)
            yield look_at_signing(wanted.channel, inbox.secret)
        else:
            yield self._no_webhook(inbox, wanted)
        yield self._members(inbox, wanted.agents)

    def _inbox(self, wanted: Wanted) -> tuple[Inbox, Finding]:
        if wanted.number is not None:
            try:
                return self._by_number(wanted.number)
            except Missing:
                pass  # it was deleted, or the number is wrong: one is made under the name
        return self._by_name(wanted) or self._new(wanted)

    def _by_number(self, number: int) -> tuple[Inbox, Finding]:
        inbox = self.chatwoot.inbox(number)
        if inbox.channel_type != API_INBOX:
            raise InboxUnclear(
                f"inbox {number} «{inbox.name}» is not an API inbox, but {inbox.channel_type}",
                "Write the name of a new one instead of the number, in quotes, and run this again.",
            )
        return inbox, Finding.good("inbox", f"«{inbox.name}» is there, number {number}")

    def _by_name(self, wanted: Wanted) -> tuple[Inbox, Finding] | None:
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
                "Write the number of the one that is meant: inbox = NUMBER.",
            )
        if not named:
            return None
        text = f"«{wanted.name}» is there, number {named[0].id}"
        return named[0], Finding.good("inbox", text)

    def _new(self, wanted: Wanted) -> tuple[Inbox, Finding]:
        inbox = self.chatwoot.admin.create_inbox(wanted.name, wanted.webhook_url)
        return inbox, Finding.changed("inbox", f"made «{wanted.name}», number {inbox.id}")

    def _webhook(self, inbox: Inbox, wanted: Wanted) -> Finding:
        if inbox.webhook_url == wanted.webhook_url:
            return Finding.good("webhook", "the inbox calls this gateway")
        self.chatwoot.admin.set_webhook_url(inbox.id, wanted.webhook_url)
        return Finding.changed("webhook", "the inbox calls this gateway from now on")

    def _no_webhook(self, inbox: Inbox, wanted: Wanted) -> Finding:
        """An address of ours is taken out: Chatwoot marks messages as failed if it finds nobody.
        Somebody else's is left alone."""
        if inbox.webhook_url and wanted.owns(inbox.webhook_url):
            self.chatwoot.admin.set_webhook_url(inbox.id, "")
            return Finding.changed("webhook", "the inbox calls this gateway no longer: it listens")
        return Finding.good("webhook", "the inbox need not call: we listen to the event stream")

    def _members(self, inbox: Inbox, emails: tuple[str, ...]) -> Finding:
        members = self.chatwoot.admin.members(inbox.id)
        if members and not emails:
            return Finding.good("agents", f"{_names(members)} work in it")
        everybody = self.chatwoot.admin.agents()
        known = {agent.email.casefold(): agent for agent in everybody}
        if strangers := [email for email in emails if email.casefold() not in known]:
            return Finding.bad(
                "agents",
                f"nobody in the account has the address {', '.join(strangers)}",
                "Invite them in Chatwoot (Settings, Agents), or mend --agents.",
            )
        wanted = [known[email.casefold()] for email in emails] or list(everybody)
        new = [agent for agent in wanted if agent not in members]
        if not new:
            return Finding.good("agents", f"{_names(members)} work in it")
        self.chatwoot.admin.set_members(inbox.id, [*members, *new])
        return Finding.changed("agents", f"{_names(new)} work in it from now on")


def _names(agents: Sequence[Agent]) -> str:
    return ", ".join(agent.name or agent.email for agent in agents)
