"""Chatwoot's side of the gateway: calling its API, reading its webhooks, finding the place for a
customer's message."""
