"""HTTP calls with a total deadline, and never to a private address that a stranger names."""

from __future__ import annotations

from gateway.http.address import Address, OddAddress, read_address
from gateway.http.answer import Answer, Explain, meaning
from gateway.http.fence import check_fence, fence, may_write, no_fence
from gateway.http.public_only import PrivateAddress, PublicSession, is_public
from gateway.http.session import Session

__all__ = [
    "Address",
    "Answer",
    "Explain",
    "OddAddress",
    "PrivateAddress",
    "PublicSession",
    "Session",
    "check_fence",
    "fence",
    "is_public",
    "may_write",
    "meaning",
    "no_fence",
    "read_address",
]
