"""The tour: what is asked of a Chatwoot, in this order, from an empty account to its last bot.

The titles are those of the recordings.
"""

from __future__ import annotations

from tests.chatwoot_tour.arriving import ARRIVING
from tests.chatwoot_tour.caring import CARING
from tests.chatwoot_tour.talking import TALKING

ITINERARY = (*ARRIVING, *TALKING, *CARING)
