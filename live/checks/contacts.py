"""Contacts that agents change, and what the other channels refuse."""

from __future__ import annotations

from live.checks import Check
from live.scene import Scene
from live.waiting import expect, stays, wait_for

TO_A_PHONE_THAT_IS_OFF = "Is your phone off?"


def _merged(scene: Scene) -> None:
    ada, other = scene.newcomers.on("sms"), scene.newcomers.on("email")
    ada.writes("By phone")
    ada.shown("By phone")
    other.writes("By mail")
    other.shown("By mail")
    kept, merged = ((each.contact() or {})["id"] for each in (ada, other))
    scene.desk.merge(int(kept), int(merged))
    other.writes("By mail, again", subject="Another thing")
    other.shown("By mail, again")
    expect((other.contact() or {})["id"] == kept, other.contact())


def _deleted(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    ada.writes("Forget me")
    ada.shown("Forget me")
    before = int((ada.contact() or {})["id"])
    scene.desk.delete_contact(before)
    ada.writes("Here I am again")
    ada.shown("Here I am again")
    expect(int((ada.contact() or {})["id"]) != before, before)


def _moved(scene: Scene) -> None:
    ada, new = scene.newcomers.on("sms"), scene.newcomers.on("sms")
    ada.writes("I get a new number")
    number, _ = ada.shown("I get a new number")
    contact = int((ada.contact() or {})["id"])
    scene.desk.update_contact(contact, phone_number=new.address)

    def reaches_the_new_number() -> bool:
        scene.desk.reply(number, "To the new number")
        wait_for(lambda: ada.has() or new.has(), "the reply on either phone")
        return bool(new.has())

    wait_for(reaches_the_new_number, "the reply on the new phone")


def _undelivered(scene: Scene) -> None:
    ada = scene.newcomers.on("sms")
    ada.writes("My phone will be off")
    number, _ = ada.shown("My phone will be off")
    ada.device.refuse(ada.customer)
    lost = scene.desk.reply(number, TO_A_PHONE_THAT_IS_OFF)
    wait_for(lambda: scene.desk.message(number, lost)["status"] == "failed", "the reply in red")
    error = scene.desk.message(number, lost)["content_attributes"].get("external_error")
    expect(bool(error), error)


def _delivered(scene: Scene) -> None:
    ada = scene.newcomers.on("sms")
    ada.writes("Tell me when it is here")
    number, _ = ada.shown("Tell me when it is here")
    reply = scene.desk.reply(number, "Now")
    ada.gets("Now")
    drawn = {"sent", "delivered"} if scene.desk.version().startswith("4.10.") else {"delivered"}
    wait_for(lambda: scene.desk.message(number, reply)["status"] in drawn, "it as delivered")


def _recipient_refused(scene: Scene) -> None:
    ada = scene.newcomers.on("email")
    ada.writes("My mailbox is full")
    number, _ = ada.shown("My mailbox is full")
    scene.networks.mail.refuse_recipient(ada.address, 550, "5.2.2 Mailbox full")
    lost = scene.desk.reply(number, "Can you read this?")
    wait_for(lambda: scene.desk.message(number, lost)["status"] == "failed", "the reply in red")
    scene.desk.retry(number, lost)
    ada.gets("Can you read this?")
    wait_for(lambda: scene.desk.message(number, lost)["status"] != "failed", "the red taken off")


def _one_thread(scene: Scene) -> None:
    ada = scene.newcomers.on("email")
    ada.writes("The first mail", subject="An order")
    number, _ = ada.shown("The first mail")
    scene.desk.reply(number, "The first answer")
    got = ada.gets("The first answer")
    expect("An order" in got["subject"], got)
    ada.writes("The second mail")
    again, _ = ada.shown("The second mail")
    expect(again == number, (number, again))


def _two_threads(scene: Scene) -> None:
    ada = scene.newcomers.on("email")
    ada.writes("About the shoes", subject="Shoes")
    one, _ = ada.shown("About the shoes")
    ada.writes("About the hats", subject="Hats")
    two, _ = ada.shown("About the hats")
    expect(one != two, (one, two))
    scene.desk.reply(two, "Hats are here")
    expect("Hats" in ada.gets("Hats are here")["subject"], ada.has())


def _reopened(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    ada.writes("Not done yet")
    number, _ = ada.shown("Not done yet")
    scene.desk.set_status(number, "resolved")
    scene.desk.set_status(number, "open")
    ada.writes("One more thing")
    again, _ = ada.shown("One more thing")
    expect(again == number, (number, again))


def _conversation_deleted(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    ada.writes("This will be deleted")
    number, _ = ada.shown("This will be deleted")
    scene.desk.call("DELETE", f"/conversations/{number}")
    ada.writes("Is it gone?")
    again, _ = ada.shown("Is it gone?")
    expect(again != number, again)


def _nobody_elses(scene: Scene) -> None:
    ada, grace = scene.newcomers.on("telegram"), scene.newcomers.on("telegram")
    for each in (ada, grace):
        each.writes("Only for me?")
    number, _ = ada.shown("Only for me?")
    grace.shown("Only for me?")
    scene.desk.reply(number, "Only for you")
    ada.gets("Only for you")
    stays(lambda: grace.has_got("Only for you"), 1.0)


CHECKS = (
    Check("contacts: after a merge words land at the one that was kept", _merged),
    Check("contacts: one that was deleted is made again", _deleted),
    Check("contacts: replies go to the number that an agent wrote in", _moved),
    Check("sms: a phone that is off makes the reply red, with the reason", _undelivered),
    Check("sms: a receipt becomes the agent's tick", _delivered),
    Check("email: a refused recipient is red, and Retry sends it", _recipient_refused),
    Check("email: answers stay in one thread under one subject", _one_thread),
    Check("email: another subject is another conversation", _two_threads),
    Check("telegram: what was opened again goes on", _reopened),
    Check("telegram: after a deleted conversation a new one begins", _conversation_deleted),
    Check("telegram: a reply reaches nobody else", _nobody_elses),
)
