"""Connections to Redis, what its settings mean, fail-over, and the embedded Valkey."""
