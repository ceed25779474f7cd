"""The Twilio stand-in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, request

from sandbox.faults import Fault, Kind
from sandbox.twilio import CallbackOrder, TwilioStandIn
from sandbox.twilio.signature import sign
from sandbox.web import WebServer

ANNA = "+15550100777"


@dataclass(frozen=True)
class Call:
    """A webhook call, and whether it was signed rightly."""

    url: str
    form: dict[str, str]
    signed: bool


class Receiver:
    """The customer's own server."""

    def __init__(self, auth_token: str) -> None:
        self.calls: queue.Queue[Call] = queue.Queue()
        self.release = threading.Event()
        self.release.set()
        self.status = 200
        self._auth_token = auth_token
        app = Flask("receiver")
        app.add_url_rule("/<path>", "take", self._take, methods=["POST"])
        self.server = WebServer(app)

    def _take(self, path: str) -> tuple[str, int]:
        form = request.form.to_dict()
        expected = sign(self._auth_token, request.url, form)
        signed = request.headers.get("X-Twilio-Signature") == expected
        self.calls.put(Call(path, form, signed))
        self.release.wait(10)
        return "<Response/>", self.status

    def next(self) -> Call:
        return self.calls.get(timeout=10)


@pytest.fixture
def twilio() -> Iterator[TwilioStandIn]:
    with TwilioStandIn(pace=0.005, webhook_timeout=0.3) as stand_in:
        yield stand_in


@pytest.fixture
def receiver(twilio: TwilioStandIn) -> Iterator[Receiver]:
    receiver = Receiver(twilio.auth_token)
    receiver.server.start()
    twilio.sms_url = f"{receiver.server.url}/sms"
    yield receiver
    receiver.release.set()
    receiver.server.stop()


def address(twilio: TwilioStandIn, rest: str = "Messages.json") -> str:
    return f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/{rest}"


def send(twilio: TwilioStandIn, **changes: str) -> requests.Response:
    form = {"To": ANNA, "From": twilio.number, "Body": "hi"} | changes
    return requests.post(
        address(twilio),
        data={name: text for name, text in form.items() if text},
        auth=(twilio.account_sid, twilio.auth_token),
    )


def fetch(twilio: TwilioStandIn, rest: str = "Messages.json", **query: str) -> Any:
    auth = (twilio.api_key, twilio.api_secret)
    answer = requests.get(address(twilio, rest), params=query, auth=auth)
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize(
    ("caller", "signature"),
    [
        ("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("+14158675310", "GvWf1cFY/Q7PnoempGyD5oXAezc="),
    ],
)
def test_the_signature_is_that_of_twilios_published_examples(caller: str, signature: str) -> None:
    form = {
        "Digits": "1234",
        "To": "+18005551212",
        "From": caller,
        "Caller": caller,
        "CallSid": "CA1234567890ABCDE",
    }
    assert sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form) == signature


def test_a_message_is_taken(twilio: TwilioStandIn) -> None:
    answer = send(twilio, Body="Grüße")
    assert answer.status_code == 201
    shown = answer.json()
    assert len(shown["sid"]) == 34
    assert shown["sid"].startswith("SM")
    assert (shown["status"], shown["direction"], shown["body"]) == (
        "queued",
        "outbound-api",
        "Grüße",
    )
    assert (shown["num_segments"], shown["num_media"], shown["date_sent"]) == ("1", "0", None)
    assert shown["date_created"].endswith("+0000")
    assert shown["uri"] == f"/2010-04-01/Accounts/{twilio.account_sid}/Messages/{shown['sid']}.json"


def test_long_texts_count_their_segments(twilio: TwilioStandIn) -> None:
    counted = [send(twilio, Body=body).json()["num_segments"] for body in ("a" * 161, "я" * 71)]
    assert counted == ["2", "2"]


def test_a_messaging_service_picks_the_number(twilio: TwilioStandIn) -> None:
    feed = twilio.subscribe()
    shown = send(twilio, From="", MessagingServiceSid=twilio.messaging_service_sid).json()
    assert (shown["status"], shown["from"], shown["num_segments"]) == ("accepted", None, "0")
    while feed.get(timeout=5)["message"]["status"] != "delivered":
        pass
    assert fetch(twilio, f"Messages/{shown['sid']}.json")["from"] == twilio.number


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"To": "+1"}, 21211),
        ({"To": "anna"}, 21211),
        ({"From": "+15550100009"}, 21606),
        ({"To": "+15550100001"}, 21266),
        ({"From": "", "MessagingServiceSid": "MG0"}, 21705),
        ({"StatusCallback": "here"}, 21609),
    ],
)
def test_what_twilio_refuses(twilio: TwilioStandIn, changes: dict[str, str], code: int) -> None:
    answer = send(twilio, **changes)
    assert answer.status_code == 400
    error = answer.json()
    assert set(error) == {"code", "message", "more_info", "status"}
    assert (error["code"], error["status"]) == (code, 400)
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert twilio.messages() == []


def test_the_longest_body_passes(twilio: TwilioStandIn) -> None:
    assert send(twilio, Body="a" * 1600).status_code == 201


@pytest.mark.parametrize("auth", [None, ("AC0", "x"), ("{sid}", "wrong")])
def test_bad_credentials(twilio: TwilioStandIn, auth: tuple[str, str] | None) -> None:
    if auth:
        auth = (auth[0].format(sid=twilio.account_sid), auth[1])
    answer = requests.post(address(twilio), data={"To": ANNA}, auth=auth)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


def test_unknown_resources(twilio: TwilioStandIn) -> None:
    auth = (twilio.account_sid, twilio.auth_token)
    another = address(twilio).replace(twilio.account_sid, "AC" + "0" * 32)
    nothing = f"{twilio.url}/2010-04-01/Nothing.json"
    for url in (address(twilio, "Messages/SM0.json"), another, nothing):
        answer = requests.get(url, auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)


def test_throttled_on_request(twilio: TwilioStandIn) -> None:
    twilio.refuse(429, 20429, "Too Many Requests")
    answer = send(twilio)
    assert (answer.status_code, answer.json()["code"]) == (429, 20429)
    assert send(twilio).status_code == 201


def test_an_answer_lost_after_the_effect(twilio: TwilioStandIn) -> None:
    twilio.faults.add(Fault(Kind.LOSE, method="POST"))
    with pytest.raises(requests.ConnectionError):
        send(twilio)
    assert [message["body"] for message in fetch(twilio, To=ANNA)["messages"]] == ["hi"]


def test_opting_out_and_in_again(twilio: TwilioStandIn) -> None:
    twilio.customer_texts(ANNA, twilio.number, " stop")
    assert send(twilio).json()["code"] == 21610
    twilio.customer_texts(ANNA, twilio.number, "START")
    assert send(twilio).status_code == 201


def test_a_customers_text_is_announced(twilio: TwilioStandIn, receiver: Receiver) -> None:
    sids = [twilio.customer_texts(ANNA, twilio.number, body) for body in ("one & 1", "zwei ü", "3")]
    calls = [receiver.next() for _ in sids]
    assert [call.form["MessageSid"] for call in calls] == sids
    assert [call.form["Body"] for call in calls] == ["one & 1", "zwei ü", "3"]
    assert all(call.signed for call in calls)
    assert (calls[0].form["From"], calls[0].form["To"]) == (ANNA, twilio.number)
    expected = {"SmsSid", "SmsMessageSid", "SmsStatus", "AccountSid", "NumMedia", "NumSegments"}
    assert expected <= set(calls[0].form)


def test_a_webhook_gets_one_attempt(twilio: TwilioStandIn, receiver: Receiver) -> None:
    feed = twilio.subscribe()
    receiver.status = 503
    twilio.customer_texts(ANNA, twilio.number, "lost")
    receiver.next()
    assert feed.get(timeout=5)["type"] == "message"
    alert = feed.get(timeout=5)
    assert (alert["type"], alert["code"], alert["what"]) == ("alert", 11200, "status 503")
    receiver.status = 200
    twilio.customer_texts(ANNA, twilio.number, "next")
    assert receiver.next().form["Body"] == "next"


def test_a_mute_webhook_times_out(twilio: TwilioStandIn, receiver: Receiver) -> None:
    feed = twilio.subscribe()
    receiver.release.clear()
    twilio.customer_texts(ANNA, twilio.number, "hello?")
    feed.get(timeout=5)
    assert feed.get(timeout=5)["what"] == "ReadTimeout"


def test_statuses_are_reported(twilio: TwilioStandIn, receiver: Receiver) -> None:
    callback = f"{receiver.server.url}/status?part=p%201"
    sid = send(twilio, StatusCallback=callback).json()["sid"]
    calls = [receiver.next() for _ in range(3)]
    assert [call.form["MessageStatus"] for call in calls] == ["queued", "sent", "delivered"]
    assert {call.form["MessageSid"] for call in calls} == {sid}
    assert all(call.signed for call in calls)
    assert "ErrorCode" not in calls[2].form
    assert fetch(twilio, f"Messages/{sid}.json")["status"] == "delivered"


def test_statuses_may_come_in_the_wrong_order(twilio: TwilioStandIn, receiver: Receiver) -> None:
    twilio.callback_order = CallbackOrder.REVERSED
    send(twilio, StatusCallback=f"{receiver.server.url}/status")
    seen = [receiver.next().form["MessageStatus"] for _ in range(3)]
    assert seen == ["delivered", "sent", "queued"]


@pytest.mark.parametrize(
    ("status", "seen"),
    [("undelivered", ["queued", "sent", "undelivered"]), ("failed", ["queued", "failed"])],
)
def test_a_text_that_does_not_arrive(
    twilio: TwilioStandIn, receiver: Receiver, status: str, seen: list[str]
) -> None:
    twilio.let_fail(ANNA, status=status, error_code=30005)
    sid = send(twilio, StatusCallback=f"{receiver.server.url}/status").json()["sid"]
    calls = [receiver.next() for _ in seen]
    assert [call.form["MessageStatus"] for call in calls] == seen
    assert calls[-1].form["ErrorCode"] == "30005"
    assert all("ErrorCode" not in call.form for call in calls[:-1])
    assert fetch(twilio, f"Messages/{sid}.json")["error_code"] == 30005
    twilio.let_arrive(ANNA)
    send(twilio, StatusCallback=f"{receiver.server.url}/status")
    assert [receiver.next().form["MessageStatus"] for _ in range(3)][-1] == "delivered"


def test_the_list_is_filtered_and_paged(twilio: TwilioStandIn) -> None:
    for number in (ANNA, "+15550100888", ANNA, ANNA):
        twilio.customer_texts(number, twilio.number, "x")
    today = twilio.messages()[0].day
    first = fetch(twilio, From=ANNA, PageSize="2")
    assert [message["sid"] for message in first["messages"]] == [
        message.sid for message in reversed(twilio.messages()[2:])
    ]
    rest = requests.get(
        twilio.url + first["next_page_uri"], auth=(twilio.api_key, twilio.api_secret)
    ).json()
    assert [message["sid"] for message in rest["messages"]] == [twilio.messages()[0].sid]
    assert (rest["next_page_uri"], rest["page"], rest["start"]) == (None, 1, 2)
    assert len(fetch(twilio, To=twilio.number, DateSent=today)["messages"]) == 4
    assert len(fetch(twilio, **{"DateSent>": today})["messages"]) == 4
    assert fetch(twilio, **{"DateSent<": "2020-01-01"})["messages"] == []
    assert fetch(twilio, **{"DateSent": "2020-01-01"})["messages"] == []


def test_nonsense_paging_is_refused(twilio: TwilioStandIn) -> None:
    for query in ({"PageSize": "0"}, {"Page": "x"}):
        auth = (twilio.account_sid, twilio.auth_token)
        answer = requests.get(address(twilio), params=query, auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_a_restart_remembers(tmp_path: Path) -> None:
    path = tmp_path / "twilio.json"
    with TwilioStandIn(state_file=path) as first:
        sid = first.customer_texts(ANNA, first.number, "hello")
        first.opt_out(ANNA)
    with TwilioStandIn(state_file=path) as second:
        assert second.auth_token == first.auth_token
        assert second.message(sid).body == "hello"
        assert fetch(second)["messages"][0]["sid"] == sid
        assert send(second).json()["code"] == 21610
