"""What a customer's message answers: threaded in the same conversation, else a quoted line."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chatwoot.limits import LONGEST_CONTENT
from gateway.lanes import Routes, bodies, ids
from gateway.model import Inbound
from gateway.relay.to_chatwoot.quoting import LONGEST_QUOTE, with_quotation
from tests.relay.env import Env


def newest(env: Env) -> tuple[str, int | None]:
    """The text of the newest message of the newest conversation, and the message it answers."""
    conversation = env.chatwoot.conversations()[0]["id"]
    message: dict[str, Any] = env.chatwoot.messages(conversation)[-1]
    return message["content"], message["content_attributes"].get("in_reply_to")


def resolved(env: Env) -> None:
    env.chatwoot.agent_resolve(1)
    Routes(env.store).forget_conversation(ids.inbound_lane("cards", "p1"), "1")


def agent_has_answered(env: Env) -> tuple[int, str]:
    """Chatwoot's id of an agent's reply, and the network's."""
    env.customer_writes("hello", number=1)
    env.drain()
    reply = env.agent_replies("hi Ada")
    env.drain()
    [part] = env.network.sent
    return reply, f"card-{part.id}"


def test_an_agents_message_in_the_same_conversation_is_threaded(env: Env) -> None:
    reply, external = agent_has_answered(env)
    env.customer_writes("thanks", reply_to=external, quoted="hi Ada")
    env.drain()
    assert newest(env) == ("thanks", reply)


def test_an_agents_message_in_an_earlier_conversation_is_quoted(env: Env) -> None:
    _, external = agent_has_answered(env)
    resolved(env)
    env.customer_writes("about that", reply_to=external, quoted="hi Ada")
    env.drain()
    assert newest(env) == ("> hi Ada\n\nabout that", None)


def test_the_customers_own_message_in_the_same_conversation_is_threaded(env: Env) -> None:
    env.customer_writes("hello", number=1)
    env.drain()
    env.customer_writes("I mean that", reply_to="1", quoted="hello")
    env.drain()
    [first, _] = env.chatwoot.messages(1)
    assert newest(env) == ("I mean that", first["id"])


def test_the_customers_own_message_in_an_earlier_conversation_is_quoted(env: Env) -> None:
    env.customer_writes("hello", number=1)
    env.drain()
    resolved(env)
    env.customer_writes("I meant that", reply_to="1", quoted="hello")
    env.drain()
    assert newest(env) == ("> hello\n\nI meant that", None)
    # The new message is known to be where it is.
    env.customer_writes("really", number=4, reply_to="I meant that", quoted="I meant that")
    env.drain()
    [answered, *_] = [m for m in env.chatwoot.messages(2) if m["message_type"] == 0]
    assert newest(env) == ("really", answered["id"])


@pytest.mark.parametrize("reply_to", ["", "long ago"])
def test_a_message_that_nobody_knows_is_quoted(env: Env, reply_to: str) -> None:
    env.customer_writes("hello", number=1)
    env.customer_writes("about that", reply_to=reply_to, quoted="from another chat")
    env.drain()
    assert newest(env) == ("> from another chat\n\nabout that", None)


def test_a_photo_that_answers_a_message_of_another_chat_has_the_quoted_line(env: Env) -> None:
    env.customer_writes("", number=1, quoted="your advertisement")
    env.drain()
    assert newest(env) == ("> your advertisement", None)


@pytest.mark.parametrize("reply_to", ["long ago", "1"])
def test_nothing_is_said_of_a_message_whose_text_is_not_known(env: Env, reply_to: str) -> None:
    env.customer_writes("hello", number=1)
    env.drain()
    resolved(env)
    env.customer_writes("about that", reply_to=reply_to)
    env.drain()
    assert newest(env) == ("about that", None)


def test_a_quoted_line_before_a_text_of_full_length_leaves_it_whole(env: Env) -> None:
    env.customer_writes("x" * LONGEST_CONTENT, number=1, quoted="what you asked for")
    env.drain()
    [message] = env.chatwoot.messages(1)
    assert message["content"].startswith("> what you asked for\n\nxxx")
    assert len(message["attachments"]) == 1


@pytest.mark.parametrize(
    ("quoted", "line"),
    [
        ("one\n\n two\t three ", "> one two three"),
        (
            "**no** _style_ `here` [or](there) <b>",
            r"> \*\*no\*\* \_style\_ \`here\` \[or\](there) \<b>",
        ),
        ("# no heading", r"> \# no heading"),
        ("> not twice", r"> \> not twice"),
        ("1. no list", r"> 1\. no list"),
        ("it cost 3.50 - all of it", "> it cost 3.50 - all of it"),
        (" \n ", ""),
    ],
)
def test_a_quoted_line_reads_as_it_was_written(quoted: str, line: str) -> None:
    assert with_quotation(quoted, "") == line
    assert with_quotation(quoted, "text") == (f"{line}\n\ntext" if line else "text")


@pytest.mark.parametrize("quoted", ["word " * 100, "x" * 500, "a " + "x" * 500, "漢字。" * 200])
def test_a_quoted_line_is_short(quoted: str) -> None:
    line = with_quotation(quoted, "").removeprefix("> ")
    assert LONGEST_QUOTE // 2 <= len(line) <= LONGEST_QUOTE
    assert line.endswith("…")
    assert quoted.startswith(line.removesuffix("…"))


def test_what_a_message_quotes_is_stored_with_it() -> None:
    quoting_one = Inbound("1", "p", "x", quoted="q")
    assert bodies.read_inbound(bodies.write(quoting_one), "1") == quoting_one
