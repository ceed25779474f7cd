"""`python -m gateway setup`: inboxes in Chatwoot, and registration with the networks.

Whatever is right already is left as it is: run twice, the second time changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from pydantic import SecretStr

from gateway.adapter import Adapter, Finding
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Inbox
from gateway.config import Channel, ChatwootAccount, Settings, load, named_inboxes
from gateway.errors import DeliveryError
from gateway.runtime import Runtime
from gateway.setup.checks.event_stream import look_at_stream
from gateway.setup.checks.inbox import is_ours
from gateway.setup.checks.network import connect_network
from gateway.setup.checks.signing import is_held, variable_for
from gateway.setup.checks.token_rights import administrator
from gateway.setup.contact_webhook import ContactWebhook
from gateway.setup.inboxes import InboxSetup, Wanted
from gateway.setup.report import Line, lines_about

BEYOND_ANY_INBOX = 2**40


@dataclass(slots=True)
class Outcome:
    """What setup did, and what it leaves to its user."""

    lines: list[Line] = field(default_factory=list)
    settings_to_paste: list[str] = field(default_factory=list)
    variables_to_set: dict[str, SecretStr] = field(default_factory=dict)
    addresses_to_enter: list[str] = field(default_factory=list)


def load_unnumbered(path: Path, environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, str]]:
    """The settings, of which some may not have the numbers of their inboxes yet, and the names of
    those. Raises `ConfigError` for everything else that is wrong."""
    names = named_inboxes(path, environ)
    # Numbers that no inbox has stand in for them, so that all the rest is checked before anything
    # is made.
    numbers = dict(zip(names, count(BEYOND_ANY_INBOX), strict=False))
    return load(path, environ, inboxes=numbers), names


def set_up(
    settings: Settings, names: Mapping[str, str], agents: tuple[str, ...], runtime: Runtime
) -> Outcome:
    """Make everything as it should be, as far as that is in our power.

    `names`: channel → name of its inbox, where the settings do not know its number. `agents`: the
    e-mail addresses of those who should work in the inboxes.
    """
    outcome = Outcome()
    for account in settings.accounts.values():
        _set_up_account(settings, account, names, agents, outcome)
    for channel in settings.channels.values():
        _connect(settings, channel, runtime, outcome)
    return outcome


def _set_up_account(
    settings: Settings,
    account: ChatwootAccount,
    names: Mapping[str, str],
    agents: tuple[str, ...],
    outcome: Outcome,
) -> None:
    channels = [c for c in settings.channels.values() if c.account == account]
    chatwoot = Chatwoot(account.api_url, account.account, account.token)
    with contextlib.closing(chatwoot):
        rights = administrator(account, chatwoot)
        outcome.lines += lines_about(f"chatwoot.{account.name}", rights.findings)
        contacts = ContactWebhook(settings, account, chatwoot)
        if not rights.granted:
            outcome.lines += lines_about(f"chatwoot.{account.name}", contacts.by_hand())
            return
        stream = _told("event stream", look_at_stream(account, chatwoot, ""))
        outcome.lines += lines_about(f"chatwoot.{account.name}", stream)
        findings = _told("contact webhook", contacts.make())
        outcome.lines += lines_about(f"chatwoot.{account.name}", findings)
        numbered = {c.config.inbox for c in channels if c.name not in names}
        inboxes = InboxSetup(chatwoot, taken=numbered)
        for channel in channels:
            wanted = _wanted(settings, channel, names, agents)
            findings = _told("inbox", inboxes.make(wanted))
            outcome.lines += lines_about(f"channels.{channel.name}", findings)
            if inbox := inboxes.found.get(channel.name):
                _note_what_to_write(wanted, inbox, contacts.key_at(channel), outcome)


def _note_what_to_write(
    wanted: Wanted, inbox: Inbox, further: SecretStr | None, outcome: Outcome
) -> None:
    """`further`: the key of another webhook that has the channel's address."""
    channel, lines = wanted.channel, list[str]()
    if inbox.id != wanted.number:
        lines.append(f"inbox = {inbox.id}")
    if inbox.secret and wanted.webhook_url:
        keys = {variable_for(channel): inbox.secret}
        if further:
            keys[variable_for(channel, "CONTACTS_")] = further
        if not all(is_held(key, channel.config.signing_secret) for key in keys.values()):
            # All of them: under which name one is held already cannot be seen.
            lines.append(f"signing_secret = {_references(keys)}")
            outcome.variables_to_set |= keys
    if lines:
        outcome.settings_to_paste.append("\n".join([f"[channels.{channel.name}]", *lines]))


def _references(names: Iterable[str]) -> str:
    """As channels.toml refers to variables: one, or a list."""
    named = [f'"${{{name}}}"' for name in names]
    return named[0] if len(named) == 1 else f"[{', '.join(named)}]"


def _wanted(
    settings: Settings, channel: Channel, names: Mapping[str, str], agents: tuple[str, ...]
) -> Wanted:
    return Wanted(
        name=names.get(channel.name, channel.name),
        number=None if channel.name in names else channel.config.inbox,
        webhook_url=settings.chatwoot_url(channel) if channel.is_called_by_chatwoot else "",
        channel=channel,
        agents=agents,
        owns=partial(is_ours, settings, channel),
    )


def _told(check: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, and that Chatwoot could not be asked for the next."""
    try:
        yield from findings
    except DeliveryError as error:
        yield Finding.bad(check, error.reason, "Mend that, and run this again: it goes on there.")


def _connect(settings: Settings, channel: Channel, runtime: Runtime, outcome: Outcome) -> None:
    findings = connect_network(settings, channel, runtime)
    outcome.lines.extend(lines_about(f"channels.{channel.name}", findings))
    kind = channel.adapter
    if kind.parse is not Adapter.parse and kind.connect is Adapter.connect:
        address = settings.webhook_url(channel)
        outcome.addresses_to_enter.append(f"{channel.name}: {address}")
