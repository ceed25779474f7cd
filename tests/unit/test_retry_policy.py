"""What follows from an error, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    PeerGone,
    Permanent,
    Retry,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.lanes import Taken
from gateway.relay.retry_policy import (
    BEHIND_GATE,
    BrokeDown,
    Bury,
    Defer,
    Patience,
    backoff,
    decide,
)

FRESH = Taken(
    id="o:cards:1",
    kind="out",
    body="",
    version="1",
    age=1.0,
    attempts=1,
    crashes=0,
    refusals=0,
    uncertain=False,
    since_announced=0.0,
    target="",
    served_since_refusal=False,
)
FOR_EVER = Patience()


@pytest.mark.parametrize("error", [Permanent("no"), PeerGone("blocked")])
def test_what_never_works_is_buried(error: DeliveryError) -> None:
    assert decide(error, FRESH, FOR_EVER) == Bury(error.reason)


@pytest.mark.parametrize(
    ("error", "certainty", "trouble"),
    [
        (Uncertain("?"), "uncertain", "down"),
        (Unreachable("away"), "", "down"),
        (BadCredentials("token"), "", "credentials"),
        (ServerTrouble("500"), "", "refused"),
        (ServerTrouble("500", scope="destination"), "", "failing"),
        (BrokeDown("a bug"), "uncertain", "refused"),
        (Throttled("429", scope="destination"), "", "throttled"),
        (Throttled("429", scope="lane"), "", "throttled_lane"),
        (Retry("later"), "", ""),
    ],
)
def test_what_an_error_says_of_its_destination(
    error: DeliveryError, certainty: str, trouble: str
) -> None:
    follows = decide(error, FRESH, FOR_EVER)
    assert isinstance(follows, Defer)
    assert (follows.certainty, follows.trouble) == (certainty, trouble)


def test_chatwoots_limit_of_a_conversation_says_nothing_of_all() -> None:
    follows = decide(Throttled("429", scope="lane"), replace(FRESH, kind="status"), FOR_EVER)
    assert isinstance(follows, Defer)
    assert follows.trouble == ""


def test_behind_a_closed_gate_nothing_waits_long_unless_the_other_side_asked_for_it() -> None:
    tired = replace(FRESH, attempts=16)
    waits = [decide(Unreachable("away"), tired, FOR_EVER) for _ in range(20)]
    behind = {wait.behind_gate for wait in waits if isinstance(wait, Defer)}
    assert len(behind) == 20, "spread"
    assert all(each is not None and each <= BEHIND_GATE for each in behind)
    asked = decide(ServerTrouble("503", after=42.0), tired, FOR_EVER)
    assert isinstance(asked, Defer)
    assert asked.behind_gate is None


def test_a_network_that_names_a_time_is_believed_up_to_an_hour() -> None:
    asked = decide(Throttled("429", after=42.0), FRESH, FOR_EVER)
    assert isinstance(asked, Defer)
    assert asked.seconds == 42.0
    absurd = decide(Throttled("429", after=1e9), FRESH, FOR_EVER)
    assert isinstance(absurd, Defer)
    assert absurd.seconds == 3600.0


def test_a_stale_reply_is_failed_and_a_customers_message_never() -> None:
    old = replace(FRESH, age=3601.0)
    buried = decide(Unreachable("away"), old, Patience(age_limit=3600.0))
    assert buried == Bury("Not delivered within 1 h: away")
    assert isinstance(decide(Unreachable("away"), old, FOR_EVER), Defer)


def test_eight_refusals_bury_only_while_others_pass() -> None:
    refused = replace(FRESH, refusals=7)
    assert isinstance(decide(ServerTrouble("500"), refused, FOR_EVER), Defer)
    others_pass = replace(refused, served_since_refusal=True)
    assert isinstance(decide(ServerTrouble("500"), others_pass, FOR_EVER), Bury)


def test_what_breaks_down_three_times_is_sent_to_a_customer_no_more() -> None:
    twice = replace(FRESH, refusals=1)
    assert isinstance(decide(BrokeDown("a bug"), twice, FOR_EVER), Defer)
    thrice = replace(FRESH, refusals=2)
    assert decide(BrokeDown("a bug"), thrice, FOR_EVER) == Bury("a bug", "uncertain")
    inbound = replace(thrice, kind="in")  # of which Chatwoot can be asked whether it arrived
    assert isinstance(decide(BrokeDown("a bug"), inbound, FOR_EVER), Defer)


@pytest.mark.parametrize("error", [Uncertain("?"), BrokeDown("a bug")])
def test_on_hold_what_may_have_arrived_is_left_to_the_agent(error: DeliveryError) -> None:
    held = decide(error, FRESH, Patience(ask_when_uncertain=True))
    assert isinstance(held, Bury)
    assert "Retry" in held.reason


def test_the_back_off_grows_spreads_and_has_an_end() -> None:
    for attempts, longest in ((1, 2.0), (5, 32.0), (30, 300.0), (10_000, 300.0)):
        waits = [backoff(attempts) for _ in range(200)]
        assert min(waits) >= 0.5
        assert max(waits) <= longest
        assert max(waits) - min(waits) > longest / 4
