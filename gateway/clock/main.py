"""The clock: rings when something is due, connects channels, polls networks, listens to Chatwoot's
event streams, finds lost replies.

Several may run: every poll is done under a lease, and its batch and cursor are stored in one step.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FrameType

import redis

from gateway.clock.channel_poller import ChannelPoller
from gateway.clock.delay_notices import DelayNotices
from gateway.clock.event_listener import EventListener
from gateway.clock.housekeeping import Housekeeping
from gateway.clock.reconcile import Reconciliation
from gateway.clock.streams import Streams
from gateway.config import Settings
from gateway.intake import doorbell
from gateway.intake.doorbell import Doorbell
from gateway.intake.intake import Intake
from gateway.lanes import Backlog, Lanes
from gateway.observability import logs
from gateway.observability.heartbeat import Heartbeat
from gateway.observability.logs import Redactor
from gateway.runtime import Runtime
from gateway.storage.connections import connect
from gateway.storage.failover import ServerWatch

CONNECTIONS = 3
TICK = 1.0

log = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Tick until SIGTERM."""
    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    watch = ServerWatch()
    store = connect(
        settings.gateway.redis_url, connections=CONNECTIONS, retries=3, greet=watch.greet
    )
    lanes = Lanes(store, doorbell.queue_key(), remember=watch.remember)
    ringer = Doorbell(store)
    intake, runtime = Intake(lanes, ringer), Runtime()
    adapters = {
        channel.name: channel.adapter(channel.config, settings.site(channel, runtime))
        for channel in settings.channels.values()
    }
    Heartbeat(store, "clock").start()
    redact = Redactor(settings.secret_values())
    pollers = [
        ChannelPoller(channel, adapters[channel.name], store, intake, stop, redact=redact)
        for channel in settings.channels.values()
    ]
    for poller in pollers:
        # A daemon thread: a poll that is under way when the clock stops has confirmed nothing.
        threading.Thread(target=poller.run, name=poller.name, daemon=True).start()
    streams = Streams(settings, adapters, store, intake, stop)
    streams.start()
    # A Chatwoot that is slow to answer holds up the looks at no other.
    looks = [
        Reconciliation(part, store, intake, stop, contacts=streams.contacts)
        for part in _by_account(settings)
    ]
    for each in looks:
        threading.Thread(target=each.run, name="reconcile", daemon=True).start()
    housekeeping = Housekeeping(settings, store)
    threading.Thread(
        target=housekeeping.run, args=(stop,), name="housekeeping", daemon=True
    ).start()
    notices = DelayNotices(settings, Backlog(store), ringer)
    threading.Thread(target=notices.run, args=(stop,), name="delays", daemon=True).start()
    _tick(lanes, ringer, [*pollers, *streams.listeners, *looks], stop)
    for poller in pollers:
        poller.release_leases()
    streams.release_leases()
    for each in looks:
        each.release_leases()


def _by_account(settings: Settings) -> Iterator[Settings]:
    """The same settings, with the channels of one account each."""
    for account in settings.accounts.values():
        channels = {n: each for n, each in settings.channels.items() if each.account == account}
        yield replace(settings, channels=channels)


def _tick(
    lanes: Lanes,
    ringer: Doorbell,
    holders: Sequence[ChannelPoller | EventListener | Reconciliation],
    stop: threading.Event,
) -> None:
    while not stop.wait(TICK):
        try:
            if lanes.pending():
                ringer.ring()
            for holder in holders:
                holder.renew_lease()
        except redis.RedisError as error:
            logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
