"""`python -m gateway doctor`: checks everything that the gateway depends on, and changes nothing.

A check that depends on one that failed is left out: it would only repeat the same fault.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gateway.chatwoot.client import Chatwoot
from gateway.config import ChatwootAccount, Settings
from gateway.errors import DeliveryError
from gateway.runtime import Runtime
from gateway.setup.checks.account import look_at_account
from gateway.setup.checks.at_work import look_at_work
from gateway.setup.checks.conversation_defaults import look_at_conversation_defaults
from gateway.setup.checks.event_stream import look_at_stream
from gateway.setup.checks.failed_calls import look_at_calls
from gateway.setup.checks.inbox import look_at_inbox
from gateway.setup.checks.known_bugs import known_bugs
from gateway.setup.checks.network import FIX, look_at_network
from gateway.setup.checks.public_url import is_private, look_at_address
from gateway.setup.checks.reachable import explain_silence
from gateway.setup.checks.redis import look_at_storage
from gateway.setup.checks.set_aside import look_at_set_aside
from gateway.setup.checks.token_rights import find_rights
from gateway.setup.contact_webhook import ContactWebhook
from gateway.setup.report import ReportLine, lines_about, report_failure


def examine(settings: Settings, redis_url: str, runtime: Runtime) -> Iterator[ReportLine]:
    """Every line, in the order in which things depend on each other.

    `redis_url`: empty if the embedded server does not run.
    """
    yield from lines_about("redis", look_at_storage(redis_url))
    if settings.gateway.public_url:
        yield from lines_about("gateway", look_at_address(settings.gateway.public_url))
    yield from look_at_work(settings, redis_url)
    for account in settings.accounts.values():
        yield from _examine_account(settings, account, redis_url)
    for channel in settings.channels.values():
        findings = look_at_network(settings, channel, runtime)
        yield from lines_about(f"channels.{channel.name}", findings)
        kept = look_at_set_aside(channel, redis_url)
        yield from lines_about(f"channels.{channel.name}", kept)


def _examine_account(
    settings: Settings, account: ChatwootAccount, redis_url: str
) -> Iterator[ReportLine]:
    subject = f"chatwoot.{account.name}"
    chatwoot = Chatwoot(account.api_url, account.account, account.token)
    with contextlib.closing(chatwoot):
        try:
            installation = chatwoot.installation()
        except DeliveryError as error:
            yield ReportLine(subject, explain_silence(account, error))
            return
        private = account.events == "webhook" and is_private(settings.gateway.public_url)
        yield from lines_about(subject, known_bugs(installation.version, private=private))
        rights = find_rights(account, chatwoot)
        yield from lines_about(subject, rights.findings)
        yield from lines_about(
            subject, report_failure("account", look_at_account(installation, chatwoot, rights), FIX)
        )
        if rights.granted:
            stream = look_at_stream(account, chatwoot, redis_url)
            yield from lines_about(subject, report_failure("event stream", stream, FIX))
            contacts = ContactWebhook(settings, account, chatwoot)
            yield from lines_about(subject, report_failure("contact webhook", contacts.look(), FIX))
            yield from _examine_inboxes(settings, account, chatwoot, redis_url)


def _examine_inboxes(
    settings: Settings, account: ChatwootAccount, chatwoot: Chatwoot, redis_url: str
) -> Iterator[ReportLine]:
    for channel in settings.channels.values():
        if channel.account == account:
            subject = f"channels.{channel.name}"
            inbox = look_at_inbox(settings, channel, chatwoot)
            yield from lines_about(subject, report_failure("inbox", inbox, FIX))
            calls = look_at_calls(channel, chatwoot, redis_url)
            yield from lines_about(subject, report_failure("calls", calls, FIX))
            defaults = look_at_conversation_defaults(channel, chatwoot)
            yield from lines_about(subject, report_failure("conversation defaults", defaults, FIX))
