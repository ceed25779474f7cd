"""What Telegram's own view of the bot's webhook tells whoever runs the gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from telegram import WebhookInfo

from gateway.adapter import Finding

LATELY = timedelta(hours=1)
CONNECT = "Run `python -m gateway setup`, or restart the gateway's clock."


def webhook_finding(info: WebhookInfo, wanted: str) -> Finding:
    """`wanted`: the address that Telegram should call; empty where the gateway asks by itself."""
    if info.url and not wanted:
        text = "a webhook is set, so Telegram refuses long polling"
        return Finding.bad("network webhook", text, CONNECT)
    if not wanted:
        return Finding.good("network webhook", "none is set, as long polling requires")
    if info.url != wanted:
        what = "another address" if info.url else "no address"
        cure = f"{CONNECT} Make sure that no other program uses this bot."
        return Finding.bad("network webhook", f"Telegram calls {what}", cure)
    waiting = f"{info.pending_update_count} waiting"
    if info.pending_update_count and _failed_lately(info):
        text = f"Telegram cannot deliver ({waiting}): {info.last_error_message}"
        cure = "Make public_url lead to the gateway, by https with a valid certificate."
        return Finding.bad("network webhook", text, cure)
    return Finding.good("network webhook", f"Telegram calls this gateway ({waiting})")


def _failed_lately(info: WebhookInfo) -> bool:
    failed = info.last_error_date
    return failed is not None and datetime.now(UTC) - failed < LATELY
