"""Pushes updates to the bot's webhook: in order, and again until it is taken.

https://core.telegram.org/bots/api#setwebhook says only that an unsuccessful push is repeated «a
reasonable amount» of times; here the back-off doubles up to a limit, and nothing is given up.
"""

from __future__ import annotations

import requests

from sandbox.telegram.updates import Json, Updates, Webhook

TIMEOUT = 30.0
"""Seconds until the webhook counts as mute."""


def push_updates(updates: Updates, *, first_delay: float, longest_delay: float) -> None:
    """Push until the stand-in stops. Delays between attempts in seconds."""
    delay = first_delay
    with requests.Session() as client:
        client.trust_env = False
        while (due := updates.next_push()) is not None:
            webhook, update = due
            error = _push(client, webhook, update)
            if error is None:
                delay = first_delay
                updates.remove_pushed(update)
            else:
                updates.wait_after_failure(error, delay)
                delay = min(delay * 2, longest_delay)


def _push(client: requests.Session, webhook: Webhook, update: Json) -> str | None:
    """One attempt; says what went wrong, in the words of getWebhookInfo."""
    headers = {}
    if webhook.secret_token:
        headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret_token
    try:
        answer = client.post(
            webhook.url, json=update, headers=headers, timeout=TIMEOUT, allow_redirects=False
        )
    except requests.Timeout:
        return "Read timeout expired"
    except requests.RequestException:
        return "Connection refused"
    if 200 <= answer.status_code < 300:
        return None
    return f"Wrong response from the webhook: {answer.status_code} {answer.reason}"
