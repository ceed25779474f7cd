"""Agents' replies out: split, sent once where that can be known, and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.errors import LeaseLost, PeerGone, Permanent, Retry, Throttled, Uncertain, Unreachable
from gateway.lanes import Pace, keys
from gateway.model import Part, Place, Receipt, Sent, Status
from tests.relay.env import Env, Postcards


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


def texts(env: Env) -> list[str]:
    return [part.text for part in env.network.sent]


def test_a_reply_arrives(env: Env) -> None:
    env.agent_replies("hi **Ada**")
    env.drain()
    [part] = env.network.sent
    assert (part.peer, part.text, part.sender) == ("p1", "hi Ada", "Bob Agent")
    assert part.callback_url.endswith("/channels/cards/webhook?part=o%3Acards%3A2%231")


def test_replies_leave_in_the_order_in_which_agents_wrote(env: Env) -> None:
    numbers = [env.chatwoot.agent_reply(1, f"reply {n}") for n in range(6)]
    for number in reversed(numbers):
        env.told(number)
    env.drain()
    assert texts(env) == [f"reply {n}" for n in range(6)]


def test_private_notes_echoes_and_repetitions_are_not_sent(env: Env) -> None:
    env.told(env.chatwoot.agent_reply(1, "between us", private=True))
    env.told(env.chatwoot.messages(1)[0]["id"])
    number = env.agent_replies("for you")
    assert env.told(number) == "repeated"
    env.drain()
    assert env.told(number) == "repeated"
    env.drain()
    assert texts(env) == ["for you"]


def test_a_long_reply_is_split(env: Env) -> None:
    number = env.agent_replies("one two three four five six seven eight")
    env.drain()
    assert len(texts(env)) > 1
    assert " ".join(texts(env)) == "one two three four five six seven eight"
    assert [part.number for part in env.network.sent] == list(range(1, len(texts(env)) + 1))
    assert env.shown(number)["status"] == "sent"


def test_a_part_that_is_done_is_not_sent_again(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    env.agent_replies("one two three four five six seven eight")
    calls: list[int] = []
    send: Callable[[Part], Sent] = env.network.send

    def second_call_fails(part: Part) -> Sent:
        calls.append(part.number)
        if len(calls) == 2:
            raise Retry("busy")
        return send(part)

    monkeypatch.setattr(env.network, "send", second_call_fails)
    env.drain_until(lambda: env.count("delivered_out"))
    assert calls == [1, 2, 2, *range(3, max(calls) + 1)]


def test_a_refused_reply_is_red_with_the_reason(env: Env) -> None:
    env.network.errors = [PeerGone("The customer has blocked the bot")]
    number = env.agent_replies("hi")
    env.drain()
    shown = env.shown(number)
    assert shown["status"] == "failed"
    assert shown["content_attributes"]["external_error"] == "The customer has blocked the bot"
    [letter] = env.dead.list()
    assert letter.reason == "The customer has blocked the bot"


def test_a_refused_reply_lets_the_next_one_pass(env: Env) -> None:
    env.network.errors = [Permanent("No such picture")]
    env.agent_replies("one")
    env.agent_replies("two")
    env.drain()
    assert texts(env) == ["two"]


def test_a_dead_letter_replayed_is_sent_and_no_longer_red(env: Env) -> None:
    env.network.errors = [Permanent("Not today")]
    number = env.agent_replies("hi")
    env.drain()
    [letter] = env.dead.list()
    assert env.dead.replay(letter.id)
    env.drain()
    assert texts(env) == ["hi"]
    assert env.shown(number)["status"] == "sent"
    assert list(env.dead.list()) == []


def test_throttled_waits_as_long_as_it_is_told(env: Env) -> None:
    env.network.errors = [Throttled("slow down", after=30.0, scope="lane")]
    env.agent_replies("hi")
    env.drain()
    at = env.store.zscore(keys.due("channel/cards"), "out/cards/1")
    seconds, _ = env.store.time()
    assert isinstance(at, float)
    assert 25 < at / 1000 - seconds <= 31
    assert texts(env) == []


def test_unknown_is_sent_again_by_default_and_counted(env: Env) -> None:
    env.network.after = [Uncertain("no answer")]
    env.agent_replies("hi")
    env.drain_until(lambda: env.count("delivered_out"))
    assert texts(env) == ["hi", "hi"]
    assert env.count("uncertain") == 1


def test_receipts_become_the_status_that_agents_see(env: Env) -> None:
    number = env.agent_replies("hi")
    env.drain()
    [part] = env.network.sent
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, part=part.id)])
    env.drain()
    assert env.shown(number)["status"] == "delivered"


def test_a_receipt_that_comes_before_its_id_is_known_waits_for_it(env: Env) -> None:
    number = env.agent_replies("hi")
    env.intake.take(
        env.channel, [Receipt(Status.DELIVERED, external_id=f"card-o:cards:{number}#1")]
    )
    env.drain()
    assert env.shown(number)["status"] == "delivered"


def test_a_reply_deleted_before_it_left_is_never_sent(env: Env) -> None:
    number = env.agent_replies("oops")
    env.chatwoot.agent_delete(number)
    assert env.told(number, event="message_updated") == "withdrawn:removed"
    env.drain()
    assert texts(env) == []


def test_a_deletion_that_overtakes_its_reply_wins(env: Env) -> None:
    number = env.chatwoot.agent_reply(1, "oops")
    env.chatwoot.agent_delete(number)
    assert env.told(number, event="message_updated") == "withdrawn:tombstone"
    assert env.told(number).startswith(("withdrawn", "ignored"))
    env.drain()
    assert texts(env) == []


def test_a_sent_reply_that_cannot_be_taken_back_leaves_a_note(env: Env) -> None:
    number = env.agent_replies("oops")
    env.drain()
    env.chatwoot.agent_delete(number)
    assert env.told(number, event="message_updated") == "withdrawn:delete"
    env.drain()
    [note] = env.notes()
    assert "still sees the message" in note


def test_a_reply_too_old_is_failed_not_sent(env: Env) -> None:
    number = env.agent_replies("stale")
    env.store.hincrby(keys.message(f"o:cards:{number}"), "appended", -2 * 3600 * 1000)
    env.drain()
    assert texts(env) == []
    assert env.shown(number)["status"] == "failed"


def test_retry_sends_a_reply_that_was_given_up_on_once_per_press(env: Env) -> None:
    env.network.errors = [Permanent("Not today"), Permanent("Nor now")]
    number = env.agent_replies("hi")
    env.drain()
    for presses in (1, 2):
        env.chatwoot.agent_retry(number)
        for _ in range(2):
            assert env.told(number, event="message_updated") == "accepted:retry_check"
        env.drain()
        shown = env.shown(number)["status"]
        assert shown == ("failed" if presses == 1 else "sent")
    assert texts(env) == ["hi"]


def test_an_update_before_chatwoot_was_told_of_the_failure_is_no_press(env: Env) -> None:
    env.chatwoot.fault("status", method="PATCH", times=None)
    env.network.errors = [Permanent("Not today")]
    number = env.agent_replies("hi")
    env.drain()
    env.told(number, event="message_updated")
    env.drain()
    assert texts(env) == []
    env.chatwoot.clear_faults()
    env.drain_until(lambda: env.shown(number)["status"] == "failed")
    env.drain()
    assert texts(env) == []


def test_what_a_call_has_learned_comes_with_every_later_call(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_back: list[Place] = []

    class Opens(Postcards):
        def send(self, part: Part) -> Sent:
            room = "" if part.place.context.get("room") else "r7"
            return replace(super().send(part), context={"room": room} if room else {})

        def delete(self, place: Place, external_id: str) -> None:
            taken_back.append(place)

    monkeypatch.setattr(env.network, "__class__", Opens)
    env.customer_writes("again", context={"line": "2"})
    env.drain()
    env.agent_replies("longer than one card of twenty")
    number = env.agent_replies("two")
    env.drain()
    known = {"line": "2", "room": "r7"}
    contexts = [part.context for part in env.network.sent]
    assert contexts == [{"line": "2"}, known, known]
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    env.drain()
    assert taken_back == [Place("p1", context=known)]


def test_a_sent_reply_is_taken_back_where_the_network_can(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    class TakesBack(Postcards):
        def delete(self, place: Place, external_id: str) -> None:
            calls.append((place.peer, external_id))

    monkeypatch.setattr(env.network, "__class__", TakesBack)
    number = env.agent_replies("oops")
    env.drain()
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    env.drain()
    assert calls == [("p1", f"card-o:cards:{number}#1")]
    assert env.notes() == []


def test_agents_are_told_of_a_deletion_that_was_given_up(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    class IsAway(Postcards):
        def delete(self, place: Place, external_id: str) -> None:
            raise Unreachable("The network cannot be reached")

    monkeypatch.setattr(env.network, "__class__", IsAway)
    number = env.agent_replies("oops")
    env.drain()
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    env.store.hincrby(keys.message(f"o:cards:{number}:delete"), "appended", -2 * 3600 * 1000)
    env.drain()
    [note] = env.notes()
    assert "still sees the message" in note
    assert "cannot be reached" in note
    assert [letter.id for letter in env.dead.list()] == [f"o:cards:{number}:delete"]
    # Not behind the gate of the network, which is away.
    note_id = keys.message(f"n:o:cards:{number}:delete")
    assert env.store.hget(note_id, "destination") == "chatwoot/main"


def test_a_sent_reply_without_a_name_at_the_network_leaves_a_note(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nameless(Postcards):
        def send(self, part: Part) -> Sent:
            return Sent("")

        def delete(self, place: Place, external_id: str) -> None:
            raise AssertionError

    monkeypatch.setattr(env.network, "__class__", Nameless)
    number = env.agent_replies("oops")
    env.drain()
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    env.drain()
    [note] = env.notes()
    assert "still sees the message" in note


def test_agents_are_told_if_a_reply_may_have_arrived_before_it_was_deleted(env: Env) -> None:
    env.network.after = [Uncertain("No answer came")]
    number = env.agent_replies("oops")
    env.drain()
    assert env.count("uncertain") == 1
    env.chatwoot.agent_delete(number)
    assert env.told(number, event="message_updated") == "withdrawn:delete"
    env.drain_until(env.notes)
    assert texts(env) == ["oops"]
    [note] = env.notes()
    assert "may still see the message" in note


def test_of_a_reply_whose_deletion_is_refused_in_part_the_rest_is_taken_back(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class TakesBackSome(Postcards):
        def delete(self, place: Place, external_id: str) -> None:
            calls.append(external_id)
            if external_id.endswith("#1"):
                raise Permanent("It is too old")

    monkeypatch.setattr(env.network, "__class__", TakesBackSome)
    number = env.agent_replies("one part of it, and then another one")
    env.drain()
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    env.drain()
    assert calls == [f"card-o:cards:{number}#1", f"card-o:cards:{number}#2"]
    [note] = env.notes()
    assert "It is too old" in note


@pytest.fixture
def asks_when_uncertain(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = env.channel.config.model_copy(update={"on_uncertain": "ask"})
    monkeypatch.setattr(type(env.channel), "config", asks)


def dies(env: Env, name: str = "dies") -> None:
    """A worker takes the next message, and is not heard of again."""
    claim = env.lanes.claim(1, seconds=0.05, most_each=1, at_work={}, token=name)
    assert env.lanes.take(claim.leases[0], pace=Pace()) is not None


def press_retry(env: Env, number: int) -> None:
    env.chatwoot.agent_retry(number)
    env.told(number, event="message_updated")


def is_red(env: Env, number: int) -> bool:
    return bool(env.shown(number)["status"] == "failed")


@pytest.mark.usefixtures("asks_when_uncertain")
def test_on_hold_an_uncertain_reply_asks_the_agent_and_retry_sends_it(env: Env) -> None:
    number = env.agent_replies("hi")
    dies(env)
    env.drain_until(lambda: is_red(env, number))
    assert texts(env) == []
    assert "may have arrived" in env.shown(number)["content_attributes"]["external_error"]
    press_retry(env, number)
    env.drain()
    assert texts(env) == ["hi"]


@pytest.mark.usefixtures("asks_when_uncertain")
def test_on_hold_a_lost_answer_asks_the_agent_and_is_counted(env: Env) -> None:
    env.network.after = [Uncertain("no answer")]
    number = env.agent_replies("hi")
    env.agent_replies("and more")
    env.drain_until(lambda: is_red(env, number))
    assert texts(env) == ["hi", "and more"]
    assert env.count("uncertain") == 1
    press_retry(env, number)
    env.drain()
    assert texts(env) == ["hi", "and more", "hi"]
    assert env.shown(number)["status"] == "sent"


@pytest.mark.usefixtures("asks_when_uncertain")
def test_on_hold_a_press_of_retry_that_may_have_worked_asks_once_more(env: Env) -> None:
    number = env.agent_replies("hi")
    dies(env)
    env.drain_until(lambda: is_red(env, number))
    env.network.after = [LeaseLost("as if the worker died behind the call")]
    press_retry(env, number)
    env.drain_until(lambda: bool(texts(env)) and any(env.dead.list()))
    env.drain()
    assert texts(env) == ["hi"]
    assert is_red(env, number)


class Asked(Postcards):
    """A network that can be asked what it was given."""

    def find(self, part: Part) -> Sent | None:
        known = [each.id for each in self.sent]
        return Sent(f"card-{part.id}") if part.id in known else None


class Recognises(Postcards):
    """A network that takes our ids, and each only once."""

    capabilities = replace(Postcards.capabilities, idempotent=True)


@pytest.mark.usefixtures("asks_when_uncertain")
@pytest.mark.parametrize(("kind", "calls"), [(Asked, 1), (Recognises, 2)])
@pytest.mark.parametrize("lost", ["after", "errors"])
def test_a_network_that_knows_is_asked_or_told_again_whatever_the_setting(
    env: Env, monkeypatch: pytest.MonkeyPatch, kind: type[Postcards], calls: int, lost: str
) -> None:
    monkeypatch.setattr(env.network, "__class__", kind)
    getattr(env.network, lost).append(Uncertain("no answer"))
    number = env.agent_replies("hi")
    env.drain_until(lambda: env.count("delivered_out"))
    assert env.count("uncertain") == 1
    assert len({part.id for part in env.network.sent}) == 1
    assert len(texts(env)) == (calls if lost == "after" else 1)
    assert not is_red(env, number)


def test_half_a_character_stops_nothing(env: Env) -> None:
    env.customer_writes("half \ud83d", number=5)
    env.drain()
    assert env.incoming() == ["hello", "half ?"]
