"""The provider's SMTP server (RFC 5321): takes mail for its own mailbox from anybody, and mail for
elsewhere from clients that have logged in."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sandbox.faults import Fault, Faults, Kind

Deliver = Callable[[str, bytes], Awaitable[None]]
LARGEST_MAIL = 25 * 1024 * 1024


class Submission:
    """What the server does with a mail. aiosmtpd finds the methods by their names."""

    def __init__(self, user: str, password: str, faults: Faults, deliver: Deliver) -> None:
        self._user = user
        self._password = password
        self._faults = faults
        self._deliver = deliver
        self._refused: WeakSet[Session] = WeakSet()

    def protocol(self) -> SMTP:
        """One connection."""
        return SMTP(
            self,
            hostname="mail.sandbox.example",
            ident="Sandbox mail",
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            auth_require_tls=False,  # loopback only
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        for fault in self._faults.take("RCPT", address.lower()):
            if fault.kind is Kind.STATUS:
                return f"{fault.status} {fault.body}"
        if not session.authenticated and address.lower() != self._user.lower():
            return "530 5.7.0 Authentication required"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        struck = self._faults.take("DATA", envelope.rcpt_tos[0].lower())
        for fault in struck:
            if fault.kind in {Kind.LATENCY, Kind.SILENCE}:
                await asyncio.sleep(fault.seconds)
        broken = next((fault for fault in struck if fault.kind is not Kind.LATENCY), None)
        if broken is None or broken.kind is Kind.LOSE:
            await self._deliver_all(envelope)
        return self._outcome(server, broken)

    async def _deliver_all(self, envelope: Envelope) -> None:
        content = envelope.content
        mail = content.encode() if isinstance(content, str) else content or b""
        for address in envelope.rcpt_tos:
            trace = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {address}\r\n"
            await self._deliver(address, trace.encode() + mail)

    def _outcome(self, server: SMTP, broken: Fault | None) -> str:
        if broken is not None and broken.kind is Kind.STATUS:
            return f"{broken.status} {broken.body}"
        if broken is not None and server.transport is not None:
            server.transport.close()  # the reply below goes nowhere
        return "250 2.0.0 Ok: queued"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        right = isinstance(data, LoginPassword) and self._is_right(data)
        # A client that is refused one mechanism tries the next: still the same login.
        if session not in self._refused and self._faults.take("LOGIN", "smtp"):
            self._refused.add(session)
        return AuthResult(success=right and session not in self._refused, handled=False)

    def _is_right(self, given: LoginPassword) -> bool:
        return given.login.decode().lower() == self._user.lower() and hmac.compare_digest(
            given.password, self._password.encode()
        )
