"""HTML as text. Lengths in styles are passed over: «99999em» would become so many blanks."""

from __future__ import annotations

from inscriptis import get_text
from inscriptis.model.attribute import Attribute
from inscriptis.model.config import ParserConfig
from inscriptis.model.css import CssParse
from inscriptis.model.html_element import HtmlElement

STYLES = {"display": CssParse.attr_display, "white-space": CssParse.attr_white_space}
"""What is read of a style: whether something is shown, and where lines break."""


def as_text(html: str) -> str:
    """Raises RecursionError, and what lxml raises, for what cannot be read."""
    config = ParserConfig()
    config.attribute_handler = Attribute()
    config.attribute_handler.attribute_mapping = {"style": _apply}
    text: str = get_text(html, config)
    return text


def _apply(style: str, element: HtmlElement) -> None:
    for rule in style.lower().split(";"):
        name, _, value = rule.partition(":")
        if name.strip() in STYLES:
            STYLES[name.strip()](value.strip(), element)
