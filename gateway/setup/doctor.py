"""`python -m gateway doctor`: looks at everything that the gateway depends on, and changes nothing.

What cannot be looked at because something before it failed is left out: its line would only repeat
the same trouble.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gateway.adapter import Finding
from gateway.chatwoot.client import Chatwoot
from gateway.config import ChatwootAccount, Settings
from gateway.errors import DeliveryError
from gateway.runtime import Runtime
from gateway.setup.checks.account import look_at_account
from gateway.setup.checks.conversation_defaults import look_at_opening
from gateway.setup.checks.event_stream import look_at_stream
from gateway.setup.checks.inbox import look_at_inbox
from gateway.setup.checks.known_bugs import known_faults
from gateway.setup.checks.network import MEND, look_at_network
from gateway.setup.checks.public_url import is_private, look_at_address
from gateway.setup.checks.redis import look_at_storage
from gateway.setup.checks.token_rights import administrator
from gateway.setup.contact_webhook import ContactWebhook
from gateway.setup.report import Line, lines_about


def examine(settings: Settings, redis_url: str, runtime: Runtime) -> Iterator[Line]:
    """Every line, in the order in which things depend on each other.

    `redis_url`: empty if the embedded server does not run.
    """
    yield from lines_about("redis", look_at_storage(redis_url))
    if settings.gateway.public_url:
        yield from lines_about("gateway", look_at_address(settings.gateway.public_url))
    for account in settings.accounts.values():
        yield from _account(settings, account, redis_url)
    for channel in settings.channels.values():
        findings = look_at_network(settings, channel, runtime)
        yield from lines_about(f"channels.{channel.name}", findings)


def _account(settings: Settings, account: ChatwootAccount, redis_url: str) -> Iterator[Line]:
    subject = f"chatwoot.{account.name}"
    chatwoot = Chatwoot(account.api_url, account.account, account.token)
    with contextlib.closing(chatwoot):
        try:
            installation = chatwoot.installation()
        except DeliveryError as error:
            cure = f"Look whether {account.api_url} is right, and whether Chatwoot runs."
            yield Line(subject, Finding.bad("reachable", error.reason, cure))
            return
        private = account.events == "webhook" and is_private(settings.gateway.public_url)
        yield from lines_about(subject, known_faults(installation.version, private=private))
        rights = administrator(account, chatwoot)
        yield from lines_about(subject, rights.findings)
        yield from lines_about(
            subject, _asked("account", look_at_account(installation, chatwoot, rights))
        )
        if rights.granted:
            stream = look_at_stream(account, chatwoot, redis_url)
            yield from lines_about(subject, _asked("event stream", stream))
            contacts = ContactWebhook(settings, account, chatwoot)
            yield from lines_about(subject, _asked("contact webhook", contacts.look()))
            yield from _inboxes(settings, account, chatwoot)


def _inboxes(settings: Settings, account: ChatwootAccount, chatwoot: Chatwoot) -> Iterator[Line]:
    for channel in settings.channels.values():
        if channel.account == account:
            findings = look_at_inbox(settings, channel, chatwoot)
            yield from lines_about(f"channels.{channel.name}", _asked("inbox", findings))
            findings = look_at_opening(channel, chatwoot)
            yield from lines_about(
                f"channels.{channel.name}", _asked("conversation defaults", findings)
            )


def _asked(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, and that Chatwoot did not answer for the next."""
    try:
        yield from findings
    except DeliveryError as error:
        yield Finding.bad(check, error.reason, MEND)
