"""Customers' messages whose webhook found nobody are asked for afterwards, and are there once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from adapters.twilio import Twilio
from gateway.clock.channel_poller import ChannelPoller
from gateway.config import Channel
from gateway.errors import Unreachable
from gateway.lanes import keys
from gateway.lanes.returns import Returns
from gateway.model import Batch, WebRequest
from gateway.observability.channel_states import read_channel_states
from gateway.runtime import Runtime
from gateway.web.presence import Presence
from sandbox.faults import Fault, Kind
from sandbox.twilio import TwilioStandIn
from tests.relay.env import Env, Postcards
from tests.scripted import Recorded, ScriptedServer, answer
from tests.waiting import until

ADA = "+15551230001"


@pytest.fixture
def hooks() -> Iterator[ScriptedServer]:
    """Where Twilio calls: a web process, or what is left of one."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def twilio(hooks: ScriptedServer) -> Iterator[TwilioStandIn]:
    with TwilioStandIn(sms_url=f"{hooks.url}/hook") as stand_in:
        yield stand_in


@pytest.fixture
def sms(env: Env, twilio: TwilioStandIn) -> Channel:
    config = Twilio.Config(
        adapter="twilio",
        inbox=env.channel.config.inbox,
        account_sid=twilio.account_sid,
        auth_token=SecretStr(twilio.auth_token),
        sender=twilio.number,
        api_url=twilio.url,
    )
    return replace(env.channel, config=config, adapter=Twilio)


def _heard(hooks: ScriptedServer, number: int) -> list[Recorded]:
    deadline = time.monotonic() + 10
    while len(hooks.requests) < number:
        assert time.monotonic() < deadline, "Twilio did not call"
        time.sleep(0.01)
    return hooks.requests


def poller(env: Env, sms: Channel, stop: threading.Event | None = None) -> ChannelPoller:
    adapter = Twilio(sms.config, env.settings.site(sms, Runtime()))
    return ChannelPoller(sms, adapter, env.store, env.intake, stop or threading.Event())


def web_takes(env: Env, sms: Channel, call: Recorded) -> int:
    """What web does with a webhook. Returns how many new messages it brought."""
    adapter = Twilio(sms.config, env.settings.site(sms, Runtime()))
    web_request = WebRequest("POST", call.path, {}, {}, call.form, b"")
    return len(env.intake.take(sms, adapter.parse(web_request)).ids)


def test_an_sms_that_came_while_web_was_down_is_found_once(
    env: Env, sms: Channel, twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    clock = poller(env, sms)
    assert clock.catch_up() == 0
    hooks.otherwise = answer(503, b"")
    lost = twilio.customer_texts(ADA, twilio.number, "is anybody there?")
    _heard(hooks, 1)
    hooks.otherwise = answer(200, b"<Response/>", {"Content-Type": "text/xml"})
    twilio.customer_texts(ADA, twilio.number, "hello?")
    calls = {call.form["Body"]: call for call in _heard(hooks, 2)}
    assert web_takes(env, sms, calls["hello?"]) == 1
    assert clock.catch_up() == 1
    assert env.store.exists(keys.message(f"i:cards:{lost}"))
    assert clock.catch_up() == 0
    assert web_takes(env, sms, calls["is anybody there?"]) == 0  # it comes after all


def test_what_was_written_before_the_channel_was_set_up_is_left_alone(
    env: Env, sms: Channel, twilio: TwilioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio.customer_texts(ADA, twilio.number, "long ago")
    clock, now = poller(env, sms), time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2)
    assert clock.catch_up() == 0
    monkeypatch.setattr(time, "time", lambda: now() + 60)
    assert clock.catch_up() == 0


def test_a_look_that_failed_is_made_up_for(
    env: Env, sms: Channel, twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    clock = poller(env, sms)
    clock.catch_up()
    before = env.store.get(keys.caught_up("cards"))
    twilio.faults.add(Fault(Kind.DROP, method="GET"))
    twilio.customer_texts(ADA, twilio.number, "hello?")
    with pytest.raises(Unreachable):
        clock.catch_up()
    assert env.store.get(keys.caught_up("cards")) == before
    assert clock.catch_up() == 1
    assert env.store.get(keys.caught_up("cards")) != before


def test_of_two_clocks_one_asks(
    env: Env, sms: Channel, twilio: TwilioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ChannelPoller] = []

    def noted(self: ChannelPoller) -> int:
        asked.append(self)
        return 0

    monkeypatch.setattr(ChannelPoller, "catch_up", noted)
    monkeypatch.setattr(Twilio, "connect", lambda self: "connected")
    stop = threading.Event()

    def once(seconds: float | None = None) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(stop, "wait", once)
    one, two = poller(env, sms, stop), poller(env, sms, stop)
    for each in (one, two):
        stop.clear()
        each.run()
    assert asked == [one]
    one.release_leases()
    stop.clear()
    two.run()
    assert asked == [one, two]


def test_a_clock_that_was_killed_keeps_another_waiting_for_seconds(
    env: Env, sms: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Twilio, "connect", lambda self: "connected")
    stop = threading.Event()

    def once(seconds: float | None = None) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(stop, "wait", once)
    poller(env, sms, stop).run()
    assert 0 < env.store.pttl(keys.lock_catch_up("cards")) <= 6000


def test_what_came_while_web_was_away_is_in_as_soon_as_it_is_back(
    env: Env, sms: Channel, twilio: TwilioStandIn, hooks: ScriptedServer
) -> None:
    """Though the clock has just asked, and will not by the calendar for minutes."""
    stop = threading.Event()
    clock = poller(env, sms, stop)
    runs = threading.Thread(target=clock.run)
    runs.start()
    until(lambda: env.store.exists(keys.caught_up("cards")))
    hooks.otherwise = answer(503, b"")
    lost = twilio.customer_texts(ADA, twilio.number, "is anybody there?")
    _heard(hooks, 1)
    Presence(env.store, [sms]).look()
    until(lambda: env.store.exists(keys.message(f"i:cards:{lost}")), 5)
    until(lambda: not Returns(env.store).wanted_catch_up("cards"), 5)
    stop.set()
    runs.join(10)


class Asked(Postcards):
    """A network that is asked for what customers write, where a clock gets through to it."""

    cut_off = False
    asked = 0

    def poll(self, cursor: str | None) -> Batch:
        if self.cut_off:
            raise Unreachable("no route")
        self.asked += 1
        return Batch((), "1")


def test_a_clock_that_does_not_get_through_makes_way_for_another(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = replace(env.channel, adapter=Asked)
    networks = [Asked(channel.config, env.settings.site(channel, Runtime())) for _ in range(2)]
    networks[0].cut_off, stop = True, threading.Event()

    def once(seconds: float | None = None) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(stop, "wait", once)
    monkeypatch.setattr(Asked, "poll", _then(stop, Asked.poll))
    one, two = (ChannelPoller(channel, each, env.store, env.intake, stop) for each in networks)
    for each in (one, two):
        each.run()
        one.renew_lease()  # with every tick
        stop.clear()
    assert networks[1].asked == 1


def test_whether_a_network_is_reached_is_noted(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = replace(env.channel, adapter=Asked)
    network = Asked(channel.config, env.settings.site(channel, Runtime()))
    network.cut_off, stop = True, threading.Event()

    def once(seconds: float | None = None) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(stop, "wait", once)
    monkeypatch.setattr(Asked, "poll", _then(stop, Asked.poll))
    clock = ChannelPoller(channel, network, env.store, env.intake, stop)
    clock.run()
    cut_off = read_channel_states(env.store)[channel.name]
    assert cut_off.is_in_trouble and cut_off.last_poll is None
    network.cut_off = False
    stop.clear()
    clock.run()
    reached = read_channel_states(env.store)[channel.name]
    assert not reached.is_in_trouble
    assert reached.last_poll is not None and reached.last_poll < 60


def _then(stop: threading.Event, poll: Callable[..., Batch]) -> Callable[..., Batch]:
    """One poll is enough."""

    def polled(*given: Any) -> Batch:
        stop.set()
        return poll(*given)

    return polled
