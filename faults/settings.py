"""The gateway's configuration for the harness: every wait is short, and nothing is paced."""

from __future__ import annotations

from typing import Literal, TypeAlias

Events: TypeAlias = Literal["webhook", "websocket"]
"""How the gateway learns of replies."""

LEASE = 3.0
UNCERTAIN_AFTER = 3.0
CHANNELS = ("plain", "named", "asked")
KEY = "the wire's own key"

TEMPLATE = """\
[gateway]
public_url = "http://127.0.0.1:{port}"
public_url_wait = 3
secret = "only for the faults, and long enough"
lease = {lease:g}
uncertain_after = {uncertain_after:g}
reconcile_every = {reconcile_every:g}

[chatwoot.main]
events = "{events}"
url = "{chatwoot}"
account = 1
token = "{token}"
requests_per_minute = 0
messages_per_minute = 0

[channels.plain]
adapter = "faults.wire:Wire"
inbox = {inboxes[plain]}
key = "{key}"
api_url = "{network}"
delay_notice = 0

[channels.named]
adapter = "faults.wire:NamedWire"
inbox = {inboxes[named]}
key = "{key}"
api_url = "{network}"
delay_notice = 0

[channels.asked]
adapter = "faults.wire:AskedWire"
inbox = {inboxes[asked]}
key = "{key}"
api_url = "{network}"
delay_notice = 0
"""
