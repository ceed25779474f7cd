"""Sending a mail by SMTP (RFC 5321)."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from adapters.email.connections import Security, verified_context, within
from adapters.email.errors import smtp_meaning
from gateway.errors import Uncertain, Unreachable
from gateway.http import check_fence

SLOWEST_UPLOAD = 500_000
"""Bytes a second: a mail with files gets so much more time than one without."""


class Client(smtplib.SMTP):
    """Does not connect in its constructor, so that the deadline holds for the greeting too."""

    def __init__(self, host: str, *, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._host = host  # whose name must be in the certificate


class TLSClient(smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""

    def __init__(self, host: str, *, timeout: float) -> None:
        super().__init__(timeout=timeout, context=verified_context())
        self._host = host


@dataclass(frozen=True, slots=True)
class Outbox:
    host: str
    port: int
    security: Security
    username: str
    password: SecretStr
    deadline: float
    """Seconds for each of the steps: connecting, addressing, handing the mail over."""

    def send(self, sender: str, peer: str, mail: bytes) -> None:
        """Raises `Uncertain` if the server was lost after it may have taken the mail."""
        with self._connect() as smtp:
            with within(self.deadline, lambda: smtp.sock):
                _expect(smtp.mail(sender), (250,))
                _expect(smtp.rcpt(peer), (250, 251))
            check_fence()
            self._hand_over(smtp, mail)
            _quit(smtp)

    def _hand_over(self, smtp: smtplib.SMTP, mail: bytes) -> None:
        try:
            with within(self.deadline + len(mail) / SLOWEST_UPLOAD, lambda: smtp.sock):
                _expect(smtp.data(mail), (250,))
        except smtplib.SMTPResponseException:
            raise  # an answer, if not the one that was hoped for
        except OSError as error:
            raise Uncertain(
                "The connection to the mail server was lost while the mail was sent"
            ) from error

    def check(self) -> None:
        """Log in, and no more."""
        with self._connect() as smtp:
            _quit(smtp)

    @contextmanager
    def _connect(self) -> Iterator[smtplib.SMTP]:
        smtp = self._make_client()
        try:
            with within(self.deadline, lambda: smtp.sock):
                self._greet(smtp)
            yield smtp
        except smtplib.SMTPException as error:
            raise smtp_meaning(error, self.host) from error
        except OSError as error:
            detail = f"{type(error).__name__}: {error}"
            raise Unreachable(f"{self.host} cannot be reached", detail=detail) from error
        finally:
            smtp.close()

    def _make_client(self) -> smtplib.SMTP:
        kind = TLSClient if self.security == "ssl" else Client
        return kind(self.host, timeout=self.deadline)

    def _greet(self, smtp: smtplib.SMTP) -> None:
        _expect(smtp.connect(self.host, self.port), (220,))
        smtp.ehlo_or_helo_if_needed()
        if self.security == "starttls":
            smtp.starttls(context=verified_context())
        if self.password.get_secret_value() and (self.security != "plain" or smtp.has_extn("auth")):
            smtp.login(self.username, self.password.get_secret_value())


def _quit(smtp: smtplib.SMTP) -> None:
    try:
        smtp.quit()
    except (smtplib.SMTPException, OSError):
        return  # what had to be done is done


def _expect(answer: tuple[int, bytes], codes: tuple[int, ...]) -> None:
    if answer[0] not in codes:
        raise smtplib.SMTPResponseException(*answer)
