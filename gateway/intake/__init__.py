"""Stores what comes in from outside before it is answered; then rings the doorbell."""
