"""An agent's Markdown as styled text, within a budget: some Markdown takes minutes to read."""

from __future__ import annotations

from gateway import text
from gateway.bounded import Bounded, Overrun
from gateway.model import Style
from gateway.text import Rich

SHORT = 2000
"""Characters that are rendered at once: the costliest of this length take a tenth of a second."""


class Renderer:
    """Renders replies; a long one in a child process with limits. Threads share it."""

    def __init__(self) -> None:
        self._bounded = Bounded()

    def render(self, markdown: str, styles: frozenset[Style]) -> Rich:
        """The text with its styles; what exceeds the budget goes out as it was written."""
        try:
            if len(markdown) <= SHORT:
                return text.render(markdown, styles)
            return self._bounded.call(text.render, markdown, styles)
        except (Overrun, RecursionError):
            return Rich(markdown)

    def close(self) -> None:
        self._bounded.close()
