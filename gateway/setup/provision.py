"""`python -m gateway setup`: creates inboxes in Chatwoot and registers with the networks.

Whatever is right already is left alone: a second run changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from pydantic import SecretStr

from gateway.adapter import Adapter
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Inbox
from gateway.config import Channel, ChatwootAccount, Settings, load, named_inboxes
from gateway.runtime import Runtime
from gateway.setup.checks.event_stream import look_at_stream
from gateway.setup.checks.inbox import is_ours
from gateway.setup.checks.network import connect_network, look_at_network
from gateway.setup.checks.signing import is_held, variable_for
from gateway.setup.checks.token_rights import find_rights
from gateway.setup.contact_webhook import ContactWebhook
from gateway.setup.inboxes import InboxSetup, WantedInbox
from gateway.setup.report import ReportLine, lines_about, report_failure

BEYOND_ANY_INBOX = 2**40
TRY_AGAIN = "Fix this, and run the command again: it continues there."


@dataclass(slots=True)
class Outcome:
    """What setup did, and what it leaves to the user."""

    lines: list[ReportLine] = field(default_factory=list)
    settings_to_paste: list[str] = field(default_factory=list)
    variables_to_set: dict[str, SecretStr] = field(default_factory=dict)
    addresses_to_enter: list[str] = field(default_factory=list)


def load_unnumbered(path: Path, environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, str]]:
    """The settings, and channel → inbox name for the channels whose inbox has no number yet.

    Raises `ConfigError` for everything else that is wrong."""
    names = named_inboxes(path, environ)
    # Numbers that no inbox has stand in for them, so that everything else is checked before
    # anything is created.
    numbers = dict(zip(names, count(BEYOND_ANY_INBOX), strict=False))
    return load(path, environ, inboxes=numbers), names


def set_up(
    settings: Settings, names: Mapping[str, str], agents: tuple[str, ...], runtime: Runtime
) -> Outcome:
    """Create and correct everything that we can.

    `names`: channel → name of its inbox, where the settings lack its number. `agents`: the e-mail
    addresses of those who are to work in the inboxes.
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
        rights = find_rights(account, chatwoot)
        outcome.lines += lines_about(f"chatwoot.{account.name}", rights.findings)
        contacts = ContactWebhook(settings, account, chatwoot)
        if not rights.granted:
            outcome.lines += lines_about(f"chatwoot.{account.name}", contacts.by_hand())
            return
        stream = report_failure("event stream", look_at_stream(account, chatwoot, ""), TRY_AGAIN)
        outcome.lines += lines_about(f"chatwoot.{account.name}", stream)
        findings = report_failure("contact webhook", contacts.set_up(), TRY_AGAIN)
        outcome.lines += lines_about(f"chatwoot.{account.name}", findings)
        numbered = {c.config.inbox for c in channels if c.name not in names}
        inboxes = InboxSetup(chatwoot, taken=numbered)
        for channel in channels:
            wanted = _wanted_inbox(settings, channel, names, agents)
            findings = report_failure("inbox", inboxes.set_up(wanted), TRY_AGAIN)
            outcome.lines += lines_about(f"channels.{channel.name}", findings)
            if inbox := inboxes.found.get(channel.name):
                _note_what_to_write(wanted, inbox, contacts.key_at(channel), outcome)


def _note_what_to_write(
    wanted: WantedInbox, inbox: Inbox, further: SecretStr | None, outcome: Outcome
) -> None:
    """`further`: the key of another webhook at the channel's address."""
    channel, lines = wanted.channel, list[str]()
    if inbox.id != wanted.number:
        lines.append(f"inbox = {inbox.id}")
    if inbox.secret and wanted.webhook_url:
        keys = {variable_for(channel): inbox.secret}
        if further:
            keys[variable_for(channel, "CONTACTS_")] = further
        if not all(is_held(key, channel.config.signing_secret) for key in keys.values()):
            # All of them: we cannot see under which names some are set already.
            lines.append(f"signing_secret = {_references(keys)}")
            outcome.variables_to_set |= keys
    if lines:
        outcome.settings_to_paste.append("\n".join([f"[channels.{channel.name}]", *lines]))


def _references(names: Iterable[str]) -> str:
    """One reference to a variable as channels.toml writes it, or a list."""
    named = [f'"${{{name}}}"' for name in names]
    return named[0] if len(named) == 1 else f"[{', '.join(named)}]"


def _wanted_inbox(
    settings: Settings, channel: Channel, names: Mapping[str, str], agents: tuple[str, ...]
) -> WantedInbox:
    return WantedInbox(
        name=names.get(channel.name, channel.name),
        number=None if channel.name in names else channel.config.inbox,
        webhook_url=settings.chatwoot_url(channel) if channel.is_called_by_chatwoot else "",
        channel=channel,
        agents=agents,
        owns=partial(is_ours, settings, channel),
    )


def _connect(settings: Settings, channel: Channel, runtime: Runtime, outcome: Outcome) -> None:
    findings = connect_network(settings, channel, runtime)
    outcome.lines.extend(lines_about(f"channels.{channel.name}", findings))
    kind = channel.adapter
    if kind.connect is Adapter.connect:  # there is nothing to register, but there may be faults
        findings = look_at_network(settings, channel, runtime)
        outcome.lines.extend(lines_about(f"channels.{channel.name}", findings))
    if kind.parse is not Adapter.parse and kind.connect is Adapter.connect:
        address = settings.webhook_url(channel)
        outcome.addresses_to_enter.append(f"{channel.name}: {address}")
