"""Agents' replies out: split, sent once where that can be known, and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.errors import LeaseLost, PeerGone, Permanent, Retry, Throttled, Unknown, Unreachable
from gateway.lanes import Pace
from gateway.model import Part, Receipt, Sent, Status
from tests.relay.house import House, Postcards


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


def texts(house: House) -> list[str]:
    return [part.text for part in house.network.sent]


def test_a_reply_arrives(house: House) -> None:
    house.agent_replies("hi **Ada**")
    house.drain()
    [part] = house.network.sent
    assert (part.peer, part.text, part.sender) == ("p1", "hi Ada", "Bob Agent")
    assert part.callback_url.endswith("/channels/cards/webhook?part=o%3Acards%3A2%231")


def test_replies_leave_in_the_order_in_which_agents_wrote(house: House) -> None:
    numbers = [house.chatwoot.agent_reply(1, f"reply {n}") for n in range(6)]
    for number in reversed(numbers):
        house.told(number)
    house.drain()
    assert texts(house) == [f"reply {n}" for n in range(6)]


def test_private_notes_echoes_and_repetitions_are_not_sent(house: House) -> None:
    house.told(house.chatwoot.agent_reply(1, "between us", private=True))
    house.told(house.chatwoot.messages(1)[0]["id"])
    number = house.agent_replies("for you")
    assert house.told(number) == "repeated"
    house.drain()
    assert house.told(number) == "repeated"
    house.drain()
    assert texts(house) == ["for you"]


def test_a_long_reply_is_split(house: House) -> None:
    number = house.agent_replies("one two three four five six seven eight")
    house.drain()
    assert len(texts(house)) > 1
    assert " ".join(texts(house)) == "one two three four five six seven eight"
    assert [part.number for part in house.network.sent] == list(range(1, len(texts(house)) + 1))
    assert house.shown(number)["status"] == "sent"


def test_a_part_that_is_done_is_not_sent_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.agent_replies("one two three four five six seven eight")
    calls: list[int] = []
    send: Callable[[Part], Sent] = house.network.send

    def second_call_fails(part: Part) -> Sent:
        calls.append(part.number)
        if len(calls) == 2:
            raise Retry("busy")
        return send(part)

    monkeypatch.setattr(house.network, "send", second_call_fails)
    house.drain_until(lambda: house.count("delivered_out"))
    assert calls == [1, 2, 2, *range(3, max(calls) + 1)]


def test_a_refused_reply_is_red_with_the_reason(house: House) -> None:
    house.network.errors = [PeerGone("The customer has blocked the bot")]
    number = house.agent_replies("hi")
    house.drain()
    shown = house.shown(number)
    assert shown["status"] == "failed"
    assert shown["content_attributes"]["external_error"] == "The customer has blocked the bot"
    [letter] = house.dead.list()
    assert letter.reason == "The customer has blocked the bot"


def test_a_refused_reply_lets_the_next_one_pass(house: House) -> None:
    house.network.errors = [Permanent("No such picture")]
    house.agent_replies("one")
    house.agent_replies("two")
    house.drain()
    assert texts(house) == ["two"]


def test_a_dead_letter_replayed_is_sent_and_no_longer_red(house: House) -> None:
    house.network.errors = [Permanent("Not today")]
    number = house.agent_replies("hi")
    house.drain()
    [letter] = house.dead.list()
    assert house.dead.replay(letter.id)
    house.drain()
    assert texts(house) == ["hi"]
    assert house.shown(number)["status"] == "sent"
    assert list(house.dead.list()) == []


def test_throttled_waits_as_long_as_it_is_told(house: House) -> None:
    house.network.errors = [Throttled("slow down", after=30.0, scope="lane")]
    house.agent_replies("hi")
    house.drain()
    at = house.store.zscore("gw:due:channel/cards", "out/cards/1")
    seconds, _ = house.store.time()
    assert isinstance(at, float)
    assert 25 < at / 1000 - seconds <= 31
    assert texts(house) == []


def test_unknown_is_sent_again_by_default_and_counted(house: House) -> None:
    house.network.after = [Unknown("no answer")]
    house.agent_replies("hi")
    house.drain_until(lambda: house.count("delivered_out"))
    assert texts(house) == ["hi", "hi"]
    assert house.count("uncertain") == 1


def test_receipts_become_the_status_that_agents_see(house: House) -> None:
    number = house.agent_replies("hi")
    house.drain()
    [part] = house.network.sent
    house.intake.take(house.channel, [Receipt(Status.DELIVERED, part=part.id)])
    house.drain()
    assert house.shown(number)["status"] == "delivered"


def test_a_receipt_that_comes_before_its_id_is_known_waits_for_it(house: House) -> None:
    number = house.agent_replies("hi")
    house.intake.take(
        house.channel, [Receipt(Status.DELIVERED, external_id=f"card-o:cards:{number}#1")]
    )
    house.drain()
    assert house.shown(number)["status"] == "delivered"


def test_a_reply_deleted_before_it_left_is_never_sent(house: House) -> None:
    number = house.agent_replies("oops")
    house.chatwoot.agent_delete(number)
    assert house.told(number, event="message_updated") == "withdrawn:removed"
    house.drain()
    assert texts(house) == []


def test_a_deletion_that_overtakes_its_reply_wins(house: House) -> None:
    number = house.chatwoot.agent_reply(1, "oops")
    house.chatwoot.agent_delete(number)
    assert house.told(number, event="message_updated") == "withdrawn:tombstone"
    assert house.told(number).startswith(("withdrawn", "ignored"))
    house.drain()
    assert texts(house) == []


def test_a_sent_reply_that_cannot_be_taken_back_leaves_a_note(house: House) -> None:
    number = house.agent_replies("oops")
    house.drain()
    house.chatwoot.agent_delete(number)
    assert house.told(number, event="message_updated") == "withdrawn:delete"
    house.drain()
    [note] = house.notes()
    assert "still sees the message" in note


def test_a_reply_too_old_is_failed_not_sent(house: House) -> None:
    number = house.agent_replies("stale")
    house.store.hincrby(f"gw:msg:o:cards:{number}", "appended", -2 * 3600 * 1000)
    house.drain()
    assert texts(house) == []
    assert house.shown(number)["status"] == "failed"


def test_retry_sends_a_reply_that_was_given_up_on_once_per_press(house: House) -> None:
    house.network.errors = [Permanent("Not today"), Permanent("Nor now")]
    number = house.agent_replies("hi")
    house.drain()
    for presses in (1, 2):
        house.chatwoot.agent_retry(number)
        for _ in range(2):
            assert house.told(number, event="message_updated") == "accepted:look"
        house.drain()
        shown = house.shown(number)["status"]
        assert shown == ("failed" if presses == 1 else "sent")
    assert texts(house) == ["hi"]


def test_an_update_before_chatwoot_was_told_of_the_failure_is_no_press(house: House) -> None:
    house.chatwoot.fault("status", method="PATCH", times=None)
    house.network.errors = [Permanent("Not today")]
    number = house.agent_replies("hi")
    house.drain()
    house.told(number, event="message_updated")
    house.drain()
    assert texts(house) == []
    house.chatwoot.clear_faults()
    house.drain_until(lambda: house.shown(number)["status"] == "failed")
    house.drain()
    assert texts(house) == []


def test_a_sent_reply_is_taken_back_where_the_network_can(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    class TakesBack(Postcards):
        def delete(self, peer: str, external_id: str) -> None:
            calls.append((peer, external_id))

    monkeypatch.setattr(house.network, "__class__", TakesBack)
    number = house.agent_replies("oops")
    house.drain()
    house.chatwoot.agent_delete(number)
    house.told(number, event="message_updated")
    house.drain()
    assert calls == [("p1", f"card-o:cards:{number}#1")]
    assert house.notes() == []


def test_agents_are_told_of_a_deletion_that_was_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class IsAway(Postcards):
        def delete(self, peer: str, external_id: str) -> None:
            raise Unreachable("The network cannot be reached")

    monkeypatch.setattr(house.network, "__class__", IsAway)
    number = house.agent_replies("oops")
    house.drain()
    house.chatwoot.agent_delete(number)
    house.told(number, event="message_updated")
    house.store.hincrby(f"gw:msg:o:cards:{number}:delete", "appended", -2 * 3600 * 1000)
    house.drain()
    [note] = house.notes()
    assert "still sees the message" in note
    assert "cannot be reached" in note
    assert [letter.id for letter in house.dead.list()] == [f"o:cards:{number}:delete"]


def test_a_sent_reply_without_a_name_at_the_network_leaves_a_note(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nameless(Postcards):
        def send(self, part: Part) -> Sent:
            return Sent("")

        def delete(self, peer: str, external_id: str) -> None:
            raise AssertionError

    monkeypatch.setattr(house.network, "__class__", Nameless)
    number = house.agent_replies("oops")
    house.drain()
    house.chatwoot.agent_delete(number)
    house.told(number, event="message_updated")
    house.drain()
    [note] = house.notes()
    assert "still sees the message" in note


def test_agents_are_told_if_a_reply_may_have_arrived_before_it_was_deleted(house: House) -> None:
    house.network.after = [Unknown("No answer came")]
    number = house.agent_replies("oops")
    house.drain()
    assert house.count("uncertain") == 1
    house.chatwoot.agent_delete(number)
    assert house.told(number, event="message_updated") == "withdrawn:delete"
    house.drain_until(house.notes)
    assert texts(house) == ["oops"]
    [note] = house.notes()
    assert "may still see the message" in note


def test_of_a_reply_whose_deletion_is_refused_in_part_the_rest_is_taken_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class TakesBackSome(Postcards):
        def delete(self, peer: str, external_id: str) -> None:
            calls.append(external_id)
            if external_id.endswith("#1"):
                raise Permanent("It is too old")

    monkeypatch.setattr(house.network, "__class__", TakesBackSome)
    number = house.agent_replies("one part of it, and then another one")
    house.drain()
    house.chatwoot.agent_delete(number)
    house.told(number, event="message_updated")
    house.drain()
    assert calls == [f"card-o:cards:{number}#1", f"card-o:cards:{number}#2"]
    [note] = house.notes()
    assert "It is too old" in note


@pytest.fixture
def on_hold(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = house.channel.config.model_copy(update={"on_unknown": "hold"})
    monkeypatch.setattr(type(house.channel), "config", hold)


def dies(house: House, name: str = "dies") -> None:
    """A worker takes the next message, and is not heard of again."""
    claim = house.lanes.claim(1, lease=0.05, most_each=1, at_work={}, token=name)
    assert house.lanes.take(claim.holds[0], pace=Pace()) is not None


def press_retry(house: House, number: int) -> None:
    house.chatwoot.agent_retry(number)
    house.told(number, event="message_updated")


def is_red(house: House, number: int) -> bool:
    return bool(house.shown(number)["status"] == "failed")


@pytest.mark.usefixtures("on_hold")
def test_on_hold_an_uncertain_reply_asks_the_agent_and_retry_sends_it(house: House) -> None:
    number = house.agent_replies("hi")
    dies(house)
    house.drain_until(lambda: is_red(house, number))
    assert texts(house) == []
    assert "May have arrived" in house.shown(number)["content_attributes"]["external_error"]
    press_retry(house, number)
    house.drain()
    assert texts(house) == ["hi"]


@pytest.mark.usefixtures("on_hold")
def test_on_hold_a_lost_answer_asks_the_agent_and_is_counted(house: House) -> None:
    house.network.after = [Unknown("no answer")]
    number = house.agent_replies("hi")
    house.agent_replies("and more")
    house.drain_until(lambda: is_red(house, number))
    assert texts(house) == ["hi", "and more"]
    assert house.count("uncertain") == 1
    press_retry(house, number)
    house.drain()
    assert texts(house) == ["hi", "and more", "hi"]
    assert house.shown(number)["status"] == "sent"


@pytest.mark.usefixtures("on_hold")
def test_on_hold_a_press_of_retry_that_may_have_worked_asks_once_more(house: House) -> None:
    number = house.agent_replies("hi")
    dies(house)
    house.drain_until(lambda: is_red(house, number))
    house.network.after = [LeaseLost("as if the worker died behind the call")]
    press_retry(house, number)
    house.drain_until(lambda: bool(texts(house)) and any(house.dead.list()))
    house.drain()
    assert texts(house) == ["hi"]
    assert is_red(house, number)


class Asked(Postcards):
    """A network that can be asked what it was given."""

    def find(self, part: Part) -> Sent | None:
        known = [each.id for each in self.sent]
        return Sent(f"card-{part.id}") if part.id in known else None


class Recognises(Postcards):
    """A network that takes our ids, and each only once."""

    capabilities = replace(Postcards.capabilities, idempotent=True)


@pytest.mark.usefixtures("on_hold")
@pytest.mark.parametrize(("kind", "calls"), [(Asked, 1), (Recognises, 2)])
@pytest.mark.parametrize("lost", ["after", "errors"])
def test_a_network_that_knows_is_asked_or_told_again_whatever_the_setting(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: type[Postcards], calls: int, lost: str
) -> None:
    monkeypatch.setattr(house.network, "__class__", kind)
    getattr(house.network, lost).append(Unknown("no answer"))
    number = house.agent_replies("hi")
    house.drain_until(lambda: house.count("delivered_out"))
    assert house.count("uncertain") == 1
    assert len({part.id for part in house.network.sent}) == 1
    assert len(texts(house)) == (calls if lost == "after" else 1)
    assert not is_red(house, number)


def test_half_a_character_stops_nothing(house: House) -> None:
    house.customer_writes("half \ud83d", number=5)
    house.drain()
    assert house.incoming() == ["hello", "half ?"]
