"""What an operator sees: log lines without secrets, metrics, heartbeats."""
