"""What was set aside is read once more, because a person wants it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import redis

from gateway.adapter import Adapter
from gateway.config import Channel
from gateway.errors import DeliveryError, Permanent, Retry, Uncertain
from gateway.intake.intake import Intake
from gateway.intake.limits import within_limits
from gateway.intake.webhooks import as_request
from gateway.lanes import Lease, Pace, Taken, bodies
from gateway.model import Inbound, Receipt, Unread
from gateway.relay.delivery import Done, NotNow
from gateway.relay.retry_policy import Patience

NETWORK_AWAY = 30.0
"""Seconds until a network is asked again for what was set aside."""

Item = Inbound | Receipt


@dataclass(frozen=True, slots=True)
class UnreadDelivery:
    """Reads a thing, or a whole webhook, and appends what it holds: the rest is theirs."""

    channel: Channel
    adapter: Adapter
    intake: Intake
    pace: Pace

    @property
    def patience(self) -> Patience:
        return Patience()

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        """Raises `Permanent` if it still cannot be read."""
        unread = bodies.read_unread(taken.body, taken.version)
        try:
            found = self._webhook(unread) if taken.kind == "webhook" else self._thing(unread)
            items = [within_limits(item) for item in found]
        except (Retry, Uncertain):
            raise NotNow(NETWORK_AWAY) from None
        except (DeliveryError, redis.RedisError):
            raise
        except Exception as error:
            raise Permanent(
                f"It still cannot be read ({type(error).__name__})", detail=str(error)
            ) from error
        self.intake.take(self.channel, items)
        return Done()

    def _webhook(self, unread: Unread) -> Iterable[Item]:
        for found in self.adapter.parse(as_request(unread)):
            yield from self._thing(found) if isinstance(found, Unread) else (found,)

    def _thing(self, unread: Unread) -> Iterable[Item]:
        return self.adapter.read(unread)
