"""A stand-in for a mail provider: a real IMAP server and a real SMTP server on loopback."""

from sandbox.mail.stand_in import MailStandIn

__all__ = ["MailStandIn"]
