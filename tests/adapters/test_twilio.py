"""What only Twilio has: its signature, and its stand-in at work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from adapters.twilio import Twilio
from gateway import errors
from gateway.adapter import Site
from gateway.model import Inbound, Part, Receipt, Status, WebRequest
from gateway.runtime import Runtime
from sandbox.twilio import TwilioStandIn
from tests.adapters.subjects import TwilioSubject
from tests.scripted import Recorded, ScriptedServer, answer

EXAMPLE = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
"""The example with which Twilio's own libraries are tested, its token «12345» and its signature."""
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def channel(**settings: Any) -> Twilio:
    given = {"adapter": "twilio", "inbox": 1, "account_sid": "AC1", "auth_token": "12345"}
    config = Twilio.Config(**{**given, "sender": "+15550001111", **settings})
    return Twilio(config, Site("sms", "https://gw.example/x", "s", Runtime()))


def request(url: str, form: dict[str, str], signature: str) -> WebRequest:
    headers = {"x-twilio-signature": signature}
    return WebRequest("POST", url, headers, dict(parse_qsl(urlsplit(url).query)), form, b"")


@pytest.mark.parametrize(
    "url",
    [
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        "https://mycompany.com:443/myapp.php?foo=1&bar=2",
        "https://mycompany.com:8443/myapp.php?foo=1&bar=2",
    ],
)
def test_twilios_own_example_is_accepted_with_and_without_its_port(url: str) -> None:
    channel().verify(request(url, EXAMPLE, SIGNATURE))


def test_a_signature_with_the_usual_port_is_accepted() -> None:
    adapter, subject = channel(auth_token="twilioauthtoken"), TwilioSubject(Runtime())
    with_port = request("https://gw.example:443/x?part=1", {"a": "b"}, "")
    signed = subject.sign(with_port)
    adapter.verify(replace(signed, url="https://gw.example/x?part=1"))


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=3", EXAMPLE),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", EXAMPLE),
        ("https://mycompany.com/myapp.php?foo=1&bar=2", {**EXAMPLE, "Digits": "1235"}),
        ("https://mycompany.com/myapp.php?foo=1&bar=2", {**EXAMPLE, "x": ""}),
    ],
)
def test_the_signature_is_that_of_this_address_and_form(url: str, form: dict[str, str]) -> None:
    with pytest.raises(errors.Forbidden):
        channel().verify(request(url, form, SIGNATURE))


def test_the_answer_is_empty_twiml() -> None:
    assert channel().answer(request("https://x", {}, "")) == ("<Response/>", "text/xml")


def test_a_messaging_service_and_an_api_key() -> None:
    with ScriptedServer() as server:
        server.otherwise = answer(201, {"sid": "SM1"})
        adapter = channel(sender="MG1", api_key="SK1", api_secret="keysecret", api_url=server.url)
        adapter.send(Part("p", "+15551230001", "x"))
        sent: Recorded = server.requests[0]
    assert sent.form == {"To": "+15551230001", "MessagingServiceSid": "MG1", "Body": "x"}
    assert sent.headers["authorization"] == "Basic U0sxOmtleXNlY3JldA=="


def test_an_answer_about_another_number_is_not_believed() -> None:
    with ScriptedServer() as server:
        server.otherwise = answer(201, {"sid": "SM1", "to": "+15551230002"})
        with pytest.raises(errors.Uncertain):
            channel(api_url=server.url).send(Part("p", "+15551230001", "x"))


@pytest.mark.parametrize("sender", ["", "5550001", "+1", "Shop", "555 0001", "+1555000111x"])
def test_an_impossible_sender_is_refused(sender: str) -> None:
    if sender == "5550001":
        channel(sender=sender)  # a short code
        return
    with pytest.raises(ValueError, match="sender"):
        channel(sender=sender)


@pytest.mark.parametrize("address", ["nonsense", "ftp://api.example", "http://api.example:99999"])
def test_an_impossible_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="api_url"):
        channel(api_url=address)


# ---- with the stand-in


@pytest.fixture
def hooks() -> Iterator[ScriptedServer]:
    """Takes what Twilio calls."""
    with ScriptedServer() as server:
        server.otherwise = answer(200, b"<Response/>", {"Content-Type": "text/xml"})
        yield server


@pytest.fixture
def twilio(hooks: ScriptedServer) -> Iterator[TwilioStandIn]:
    with TwilioStandIn(sms_url=f"{hooks.url}/hook") as stand_in:
        yield stand_in


def heard(twilio: TwilioStandIn, hooks: ScriptedServer, number: int) -> list[Inbound | Receipt]:
    """What the adapter makes of the first `number` calls, once they are there."""
    adapter, deadline = at(twilio), time.monotonic() + 10
    while len(hooks.requests) < number and time.monotonic() < deadline:
        hooks.stopped.wait(0.01)
    items: list[Inbound | Receipt] = []
    for call in hooks.requests[:number]:
        signature = call.headers["x-twilio-signature"]
        web_request = request(hooks.url + call.path, call.form, signature)
        adapter.verify(web_request)
        items += adapter.parse(web_request)
    return items


def at(twilio: TwilioStandIn) -> Twilio:
    return channel(
        account_sid=twilio.account_sid,
        auth_token=twilio.auth_token,
        sender=twilio.number,
        api_url=twilio.url,
    )


def test_both_ways_with_the_stand_in(twilio: TwilioStandIn, hooks: ScriptedServer) -> None:
    sid = twilio.customer_texts("+15551230001", twilio.number, "Grüße & <b>")
    (message,) = heard(twilio, hooks, 1)
    assert isinstance(message, Inbound)
    assert (message.id, message.peer, message.text) == (sid, "+15551230001", "Grüße & <b>")
    hooks.requests.clear()
    callback = f"{hooks.url}/hook?part=9%3A1"
    sent = at(twilio).send(Part("9:1", "+15551230001", "Hi 😀", callback_url=callback))
    assert twilio.message(sent.external_id).body == "Hi 😀"
    receipts = heard(twilio, hooks, 2)
    assert Receipt(Status.SENT, sent.external_id, "9:1") in receipts


def test_a_customer_who_opted_out(twilio: TwilioStandIn) -> None:
    twilio.opt_out("+15551230001")
    with pytest.raises(errors.PeerGone, match="START"):
        at(twilio).send(Part("9:1", "+15551230001", "x"))


def test_a_picture_is_fetched_from_the_storage_without_the_password(
    twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    files = [("image/jpeg", b"\xff\xd8 one"), ("text/vcard", b"BEGIN:VCARD")]
    twilio.customer_texts("+15551230001", twilio.number, "", files=files)
    (message,) = heard(twilio, hooks, 1)
    assert isinstance(message, Inbound)
    adapter = at(twilio)
    opened = [b"".join(adapter.open(attachment)) for attachment in message.attachments]
    assert opened == [data for _, data in files]
    assert [each.name for each in message.attachments] == ["media-1.jpg", "media-2.vcf"]


# ---- what no webhook brought


def test_catching_up_gives_what_the_webhook_gives(
    twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    began = time.time() - 60
    files = [("image/jpeg", b"one"), ("text/vcard", b"BEGIN:VCARD")]
    twilio.customer_texts("+15551230001", twilio.number, "first")
    twilio.customer_texts("+15551230002", twilio.number, "", files=files)
    twilio.customer_texts("777", twilio.number, "last")
    at(twilio).send(Part("9:1", "+15551230001", "an answer"))
    twilio.customer_texts("+15551230001", "+15550009999", "to another number")
    told = {each.id: each for each in heard(twilio, hooks, 3) if isinstance(each, Inbound)}
    found = list(at(twilio).catch_up(began))
    assert [each.text for each in found] == ["first", "", "last"]
    assert {each.id: replace(each, sent_at=None) for each in found} == told


def test_catching_up_leaves_alone_what_is_older(
    twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    twilio.customer_texts("+15551230001", twilio.number, "of today")
    assert list(at(twilio).catch_up(time.time() + 60)) == []


def test_catching_up_turns_pages(
    twilio: TwilioStandIn, hooks: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.twilio.history.PAGE_SIZE", 2)
    for number in range(5):
        twilio.customer_texts("+15551230001", twilio.number, f"n{number}")
    found = [each.text for each in at(twilio).catch_up(time.time() - 60)]
    assert found == [f"n{number}" for number in range(5)]


def test_with_a_messaging_service_only_what_came_through_it() -> None:
    inbound = {
        "direction": "inbound",
        "from": "+15551230001",
        "to": "+15550001111",
        "num_media": "0",
    }
    sent = {**inbound, "direction": "outbound-api"}
    dated = {"date_sent": "Thu, 24 Aug 2023 05:01:45 +0000"}
    listed = [
        {"sid": "SM2", "body": "two", "messaging_service_sid": "MG2", **inbound, **dated},
        {"sid": "SM1", "body": "one", "messaging_service_sid": "MG1", **inbound, **dated},
        {"sid": "SM0", "body": "out", "messaging_service_sid": "MG1", **sent, **dated},
        {"sid": "SMX", "messaging_service_sid": "MG1", **inbound, **dated, "from": None},
    ]
    with ScriptedServer() as server:
        server.otherwise = answer(200, {"messages": listed, "next_page_uri": None})
        [found] = channel(sender="MG1", api_url=server.url).catch_up(0.0)
    assert (found.id, found.sent_at) == ("SM1", 1692853305.0)
