"""docs/alerts.yml: each rule fires when what it watches breaks, and not before.

The expressions are so plain that a few lines evaluate them as Prometheus would, over two scrapes of
the real page. Where promtool is installed it reads the file too.
"""

from __future__ import annotations

import operator
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from gateway.lanes import keys
from gateway.lanes.set_aside import SetAside
from gateway.model import Unread
from gateway.observability.channel_states import ChannelNotes
from gateway.observability.event_streams import StreamNotes
from gateway.observability.heartbeat import ROLES, Heartbeat
from tests.unit.documents import ROOT, read
from tests.unit.web_kit import ADMIN, make_app, post, text

RULES: Final = dict(
    re.findall(
        r"- alert: (\w+)\n(?:\s+#[^\n]*\n)*\s+expr: ([^\n]+)\n",
        read("docs/alerts.yml"),
    )
)
EXPRESSION: Final = re.compile(
    r"(?:(?P<over>increase|delta)\()?(?P<name>\w+)(?:\{job=\"[\w-]+\"\})?(?:\[10m\]\))?"
    r" (?P<compare>[<>]) (?P<limit>[\d.]+)"
)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Place:
    client: FlaskClient
    store: redis.Redis


def scraped(place: Place) -> Series:
    """What Prometheus has after a scrape; nothing but `up` if it fails."""
    answer = place.client.get("/metrics", headers={"Authorization": f"Bearer {ADMIN}"})
    if answer.status_code != 200:
        return {("up", ()): 0.0}
    return {("up", ()): 1.0} | {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def fires(expression: str, before: Series, after: Series) -> bool:
    """A series that was not there before has not increased: Prometheus cannot know by how much."""
    found = EXPRESSION.fullmatch(expression)
    assert found is not None, f"too elaborate for this test: {expression}"
    compare = operator.lt if found["compare"] == "<" else operator.gt
    values = {series: value for series, value in after.items() if series[0] == found["name"]}
    if found["over"]:
        values = {s: value - before[s] for s, value in values.items() if s in before}
    return any(compare(value, float(found["limit"])) for value in values.values())


def worker_dies(place: Place) -> None:
    (worker,) = (n for n in map(str, place.store.hkeys(keys.HEARTBEATS)) if n.startswith("worker"))
    place.store.hset(keys.HEARTBEATS, worker, 1000)


def redis_breaks(place: Place) -> None:
    place.store.set(keys.HEARTBEATS, "not what it was")


def a_message_waits(place: Place) -> None:
    post(place.client, text())
    place.store.hset(keys.message("i:shop:m1"), "appended", 1000)


def a_gate_closes(place: Place) -> None:
    place.store.sadd(keys.DESTINATIONS, "chatwoot/main")
    place.store.hset(keys.gate("chatwoot/main"), mapping={"state": "closed", "since": 1000})


def a_network_refuses_us(place: Place) -> None:
    ChannelNotes(place.store, "desk").failed("the password is rejected")


def a_poll_hangs(place: Place) -> None:
    state = '{"why": "", "since": 1000, "last_poll": 1000}'
    place.store.hset(keys.CHANNEL_STATES, "desk", state)


def a_stream_breaks(place: Place) -> None:
    StreamNotes(place.store, "main").broken("it was closed")


def fill(place: Place, share: float) -> None:
    used = place.store.info("memory")["used_memory"]
    place.store.config_set("maxmemory", round(used / share))


def redis_is_full(place: Place) -> None:
    fill(place, 0.9)
    assert post(place.client, text()).status_code == 503


def one_is_given_up(place: Place) -> None:
    place.store.xadd(keys.DEAD_LETTERS, {"id": "o:shop:1"})


def an_adapter_fails(place: Place) -> None:
    assert post(place.client, {"kind": "break"}).status_code == 500


def a_mail_cannot_be_read(place: Place) -> None:
    assert SetAside(place.store).keep("shop", "main", Unread("uid 8", "?"), "nested too deep")


BREAKS: Final[dict[str, Callable[[Place], None]]] = {
    "GatewayProcessMissing": worker_dies,
    "GatewayNotScraped": redis_breaks,
    "GatewayMessageWaits": a_message_waits,
    "GatewayGateClosed": a_gate_closes,
    "GatewayChannelTrouble": a_network_refuses_us,
    "GatewayChannelSilent": a_poll_hangs,
    "GatewayEventStreamDown": a_stream_breaks,
    "GatewayRedisFillsUp": lambda place: fill(place, 0.8),
    "GatewayRefusesWebhooks": redis_is_full,
    "GatewayDeadLetters": one_is_given_up,
    "GatewayUnreadableWebhook": an_adapter_fails,
    "GatewaySetAside": a_mail_cannot_be_read,
}


@pytest.fixture
def place(store: redis.Redis, redis_url: str) -> Place:
    """A gateway that is well."""
    for role in ROLES:
        Heartbeat(store, role).beat()
    ChannelNotes(store, "desk").polled()
    StreamNotes(store, "main").connected()
    return Place(make_app(store, redis_url).test_client(), store)


def test_each_rule_is_broken_here() -> None:
    assert set(RULES) == set(BREAKS)
    assert len(RULES) == read("docs/alerts.yml").count("- alert:")


def test_nothing_fires_while_all_is_well(place: Place) -> None:
    before = scraped(place)
    assert [rule for rule, said in RULES.items() if fires(said, before, scraped(place))] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_fires_when_what_it_watches_breaks(place: Place, rule: str) -> None:
    before = scraped(place)
    try:
        BREAKS[rule](place)
        assert fires(RULES[rule], before, scraped(place))
    finally:
        place.store.config_set("maxmemory", 0)


@pytest.mark.system("promtool")
def test_prometheus_reads_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(ROOT / "docs/alerts.yml")], check=True)
