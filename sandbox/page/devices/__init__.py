"""The customers' devices: what they show, and what a customer does with them."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.page.devices.device import Device
from sandbox.page.devices.mail_program import MailProgram
from sandbox.page.devices.phone import Phone
from sandbox.page.devices.telegram_app import TelegramApp
from sandbox.stand_ins import StandIns

__all__ = ["Device", "devices_in"]


def devices_in(stand_ins: StandIns) -> Mapping[str, Device]:
    """By channel."""
    return {
        "telegram": TelegramApp(stand_ins.telegram),
        "sms": Phone(stand_ins.twilio),
        "email": MailProgram(stand_ins.mail),
    }
