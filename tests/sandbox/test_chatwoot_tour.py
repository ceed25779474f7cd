"""The stand-in answers as the Chatwoots did whose tours are recorded."""

from __future__ import annotations

import pytest

from sandbox.chatwoot.version import RELEASES
from tests.chatwoot_tour.comparing import differences
from tests.chatwoot_tour.exemptions import (
    EXEMPTIONS,
    SPILLS,
    Exemption,
    Spill,
    gathered,
    left_out,
)
from tests.chatwoot_tour.itinerary import ITINERARY
from tests.chatwoot_tour.traveller import tour
from tests.chatwoot_tour.visits import recorded

STEPS = 183


@pytest.mark.parametrize("version", RELEASES)
def test_every_step_of_the_tour_is_as_it_was_recorded(version: str) -> None:
    """Status, keys, types, values, words of errors, and the webhooks with their headers."""
    real, ours = gathered(recorded(version)), tour(version)
    assert [each.title for each in ours] == [each.title for each in real]
    told = {
        theirs.title: differences(theirs, mine, left_out(theirs.title))
        for theirs, mine in zip(real, ours, strict=True)
    }
    unlike = {title: found for title, found in told.items() if found}
    score = f"{len(told) - len(unlike)} of {len(told)}"
    print(f"Chatwoot {version}: {score}")
    assert score == f"{STEPS} of {STEPS}", unlike


def test_what_is_not_compared_is_little_and_has_a_reason() -> None:
    exempt: list[Exemption | Spill] = [*EXEMPTIONS, *SPILLS]
    assert len(exempt) <= 10
    assert all(each.why for each in exempt)
    titles = {step.title for step in ITINERARY}
    assert all(titles.issuperset(each.titles) for each in EXEMPTIONS)
