"""Whether Chatwoot signs what it sends to a channel, and whether the gateway holds the key."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr

from gateway.adapter import Finding
from gateway.config import Channel

TAKE_IT = "`python -m gateway setup --secrets shown` tells what to write."


def look_at_signing(channel: Channel, key: SecretStr | None) -> Finding:
    """`key`: what Chatwoot signs the inbox's webhooks with; None if it is older than 4.13."""
    held = channel.config.signing_secret
    if key is None and held:
        text = "signing_secret is set, but this Chatwoot does not sign: every webhook is refused"
        cure = f"Take signing_secret out of [channels.{channel.name}], or update Chatwoot."
        return Finding.bad("signature", text, cure)
    if key is None:
        return Finding.good("signature", "this Chatwoot does not sign; the address is the secret")
    if not held:
        return Finding.note("signature", "Chatwoot signs its webhooks, and we do not look", TAKE_IT)
    if is_held(key, held):
        return Finding.good("signature", "Chatwoot signs its webhooks, and we hold the key")
    text = "signing_secret is not the key with which Chatwoot signs: every webhook is refused"
    return Finding.bad("signature", text, TAKE_IT)


def is_held(key: SecretStr, held: Iterable[SecretStr]) -> bool:
    return key in tuple(held)


def variable_for(channel: Channel, whose: str = "") -> str:
    """The environment variable that we propose for the channel's key; `whose`: of its further
    ones."""
    return f"{channel.name.upper().replace('-', '_')}_{whose}SIGNING_SECRET"
