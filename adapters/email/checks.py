"""Whether the mail servers let us in, for whoever runs the gateway."""

from __future__ import annotations

from collections.abc import Callable

from gateway.adapter import Finding
from gateway.errors import DeliveryError


def check_login(check: str, log_in: Callable[[], object]) -> Finding:
    """Each server for itself: both have names and passwords that may be wrong."""
    try:
        log_in()
    except DeliveryError as error:
        cure = "Check host, port, security, user and password against the provider's instructions."
        return Finding.bad(check, error.reason, cure)
    return Finding.good(check, "the login works")
