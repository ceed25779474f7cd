"""A stand-in for Telegram's Bot API: one bot, its customers, and the servers between them."""

from sandbox.telegram.stand_in import TelegramStandIn

__all__ = ["TelegramStandIn"]
