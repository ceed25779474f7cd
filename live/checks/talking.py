"""Words both ways, on every channel."""

from __future__ import annotations

import time

from live.checks import Check, on_each
from live.scene import CHANNEL_NAMES, Scene
from live.waiting import expect, stays, wait_for

SEVERAL = 8
HEARD = 1.0
"""Seconds within which the gateway has heard what an agent did; nothing shows it."""
BETWEEN_REPLIES = 0.3
"""Seconds: faster than any agent, and slower than Chatwoot's jobs are out of step."""


def _customer_writes(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Do you ship to Norway?")
    number, message = ada.shown("Do you ship to Norway?")
    shown = scene.desk.conversation(number)
    expect(shown["status"] == "open", shown["status"])
    expect(message["status"] != "failed", message)


def _customer_is_named(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Who am I?")
    ada.shown("Who am I?")
    contact = ada.contact() or {}
    name = ada.address if channel == "sms" else ada.customer.name
    expect(name in str(contact), contact)


def _agent_replies(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Is anybody there?")
    number, _ = ada.shown("Is anybody there?")
    reply = scene.desk.reply(number, "Yes, we are")
    ada.gets("Yes, we are")
    wait_for(
        lambda: scene.desk.message(number, reply)["status"] in {"sent", "delivered", "read"},
        "the reply as sent",
    )


def _many_at_once_to_chatwoot(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("May I?")
    number, _ = ada.shown("May I?")
    scene.desk.reply(number, "Go on")
    ada.gets("Go on")  # a mail that answers one is in its thread
    wanted = [f"line {n} of {SEVERAL}" for n in range(1, SEVERAL + 1)]
    for text in wanted:
        ada.writes(text)
    ada.shown(wanted[-1])

    def shown() -> list[str]:
        return [text for each in ada.texts(number) for text in wanted if text in each]

    wait_for(lambda: len(shown()) >= SEVERAL, f"all {SEVERAL} lines in conversation {number}")
    expect(shown() == wanted, shown())


def _many_at_once_to_customer(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Tell me all")
    number, _ = ada.shown("Tell me all")
    wanted = [f"answer {n} of {SEVERAL}" for n in range(1, SEVERAL + 1)]
    for text in wanted:
        scene.desk.reply(number, text)
        time.sleep(BETWEEN_REPLIES)
    ada.gets(wanted[-1])
    got = [text for each in ada.has() for text in wanted if text in each["text"].split("\n")[0]]
    expect(got == wanted, got)


def _note_stays_inside(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("What do you think of me?")
    number, _ = ada.shown("What do you think of me?")
    scene.desk.reply(number, "She seems nice", private=True)
    scene.desk.reply(number, "Only the best")
    ada.gets("Only the best")
    stays(lambda: ada.has_got("She seems nice"), 1.0)


def _resolved_then_new(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("First matter")
    first, _ = ada.shown("First matter")
    scene.desk.set_status(first, "resolved")
    wait_for(lambda: scene.desk.conversation(first)["status"] == "resolved", "it as resolved")
    time.sleep(HEARD)
    ada.writes("Second matter", subject="Another thing")
    second, _ = ada.shown("Second matter")
    expect(second != first or channel != "telegram", (first, second))
    expect(scene.desk.conversation(second)["status"] == "open", "the conversation is not open")


def _agent_begins(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    if channel == "telegram":  # nobody can be written to there who has not written first
        ada.writes("hello")
        ada.shown("hello")
        contact = int((ada.contact() or {})["id"])
    elif channel == "sms":
        contact = scene.desk.create_contact(name=ada.customer.name, phone_number=ada.address)
    else:
        contact = scene.desk.create_contact(name=ada.customer.name, email=ada.address)
    begun = scene.desk.begin(contact, scene.wiring.inboxes[channel], "Your parcel is here")
    ada.gets("Your parcel is here")
    ada.writes("I will fetch it")
    answered, _ = ada.shown("I will fetch it")
    expect(answered == begun, (begun, answered))


def _owners_own_words(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Are you on the road?")
    number, _ = ada.shown("Are you on the road?")
    echo = {"external_echo": True}
    scene.desk.reply(number, "Typed on my own phone", content_attributes=echo)
    scene.desk.reply(number, "Typed at the desk")
    ada.gets("Typed at the desk")
    stays(lambda: ada.has_got("Typed on my own phone"), 1.0)


CHECKS: tuple[Check, ...] = (
    *on_each(CHANNEL_NAMES, "a customer's words are shown", _customer_writes),
    *on_each(CHANNEL_NAMES, "the contact has the customer's name or number", _customer_is_named),
    *on_each(CHANNEL_NAMES, "an agent's reply arrives and counts as sent", _agent_replies),
    *on_each(CHANNEL_NAMES, "eight messages come in once and in order", _many_at_once_to_chatwoot),
    *on_each(CHANNEL_NAMES, "eight replies go out once and in order", _many_at_once_to_customer),
    *on_each(CHANNEL_NAMES, "a private note reaches nobody", _note_stays_inside),
    *on_each(
        CHANNEL_NAMES, "after resolving, words are in an open conversation", _resolved_then_new
    ),
    *on_each(CHANNEL_NAMES, "an agent begins, and the answer is where it began", _agent_begins),
    *on_each(CHANNEL_NAMES, "what the owner typed elsewhere is not sent again", _owners_own_words),
)
