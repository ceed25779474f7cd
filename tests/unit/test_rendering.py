from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gateway.model import Style
from gateway.relay.to_network.rendering import SHORT, Renderer
from gateway.text import render

STYLES = frozenset(Style)
HOSTILE = ["![", "[", "- a\n", "**a** ", "_a_", "> ", "`a", "[a](", "*a **b "]


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    it = Renderer()
    yield it
    it.close()


@pytest.mark.parametrize("mark", HOSTILE)
def test_the_longest_reply_costs_this_process_next_to_nothing(
    renderer: Renderer, mark: str
) -> None:
    written = (mark * 150_000)[:150_000]
    before = time.process_time()
    rich = renderer.render(written, STYLES)
    assert time.process_time() - before < 1
    assert "a" not in written or rich.text.count("a") == written.count("a")


def test_what_exceeds_the_budget_goes_out_as_it_was_written(renderer: Renderer) -> None:
    written = "![" * 75_000
    assert renderer.render(written, STYLES).text == written


def test_a_long_reply_is_rendered_like_a_short_one(renderer: Renderer) -> None:
    written = "**bold** and [a link](https://example.com/)\n\n" * 100
    assert len(written) > SHORT
    assert renderer.render(written, STYLES) == render(written, STYLES)
