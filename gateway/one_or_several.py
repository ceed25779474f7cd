"""A setting that holds several texts may be written as one, without a list around it."""

from __future__ import annotations

from pydantic import SecretStr


def one_or_several(value: object) -> object:
    """For a `BeforeValidator`: a single text or secret becomes a tuple of it."""
    return (value,) if isinstance(value, str | SecretStr) else value
