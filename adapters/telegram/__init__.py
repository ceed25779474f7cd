"""Telegram bots, through python-telegram-bot's `Bot`: https://core.telegram.org/bots/api.

By webhook with a secret header, or by long polling for whoever has no public address. Never by the
library's own `Updater`: it confirms updates to Telegram while they sit only in memory.
"""

from __future__ import annotations

from adapters.telegram.adapter import Telegram

__all__ = ["Telegram"]
