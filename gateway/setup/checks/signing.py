"""Checks whether Chatwoot signs a channel's webhooks, and whether the gateway has the key."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr

from gateway.adapter import Finding
from gateway.config import Channel

SHOW_KEYS = "Run `python -m gateway setup --secrets shown`: it prints what to write."


def look_at_signing(channel: Channel, key: SecretStr | None) -> Finding:
    """`key`: Chatwoot's key for the inbox's webhooks; None before Chatwoot 4.13."""
    held = channel.config.signing_secret
    if key is None and held:
        text = "signing_secret is set, but this Chatwoot does not sign: every webhook is refused"
        cure = f"Remove signing_secret from [channels.{channel.name}], or update Chatwoot."
        return Finding.bad("signature", text, cure)
    if key is None:
        return Finding.good("signature", "this Chatwoot does not sign; the address is secret")
    if not held:
        return Finding.note(
            "signature", "Chatwoot signs its webhooks, but the gateway does not check", SHOW_KEYS
        )
    if is_held(key, held):
        return Finding.good("signature", "Chatwoot signs its webhooks, and the gateway has the key")
    text = "signing_secret is not Chatwoot's key: every webhook is refused"
    return Finding.bad("signature", text, SHOW_KEYS)


def is_held(key: SecretStr, held: Iterable[SecretStr]) -> bool:
    return key in tuple(held)


def variable_for(channel: Channel, whose: str = "") -> str:
    """The environment variable proposed for the channel's key; `whose` tells further keys apart."""
    return f"{channel.name.upper().replace('-', '_')}_{whose}SIGNING_SECRET"
