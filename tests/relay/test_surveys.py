"""A survey is answered where it was asked, and the answer goes into Chatwoot's reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from gateway.chatwoot.replies import as_event
from gateway.errors import LeaseLost
from gateway.lanes import keys
from gateway.model import Attachment, ButtonLimits, Capabilities
from gateway.relay.to_chatwoot.surveys import FEEDBACK, Surveys
from sandbox.chatwoot.routes.public import SURVEY_OPEN
from tests.relay.env import Env, Postcards, opened

HINT = "Or answer with a number from 1 (poor) to 5 (excellent)."


class Plain(Postcards):
    capabilities = Capabilities()

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        yield attachment.id.encode()


class Keyed(Postcards):
    capabilities = Capabilities(buttons=ButtonLimits(most=5, label=10))


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.network, "__class__", Plain)
    env.customer_writes("hello")
    env.drain()
    with env.chatwoot.store.changing():
        inbox = env.chatwoot.store.inboxes.get(env.channel.config.inbox)
        inbox.settings["csat_survey_enabled"] = True


@pytest.fixture
def keyed(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.network, "__class__", Keyed)


def asks(env: Env, conversation: int = 1) -> int:
    """An agent resolves, Chatwoot asks; answers with the survey's number."""
    env.chatwoot.agent_resolve(conversation)
    env.told_of(conversation, "conversation_status_changed")
    number = next(
        each["id"]
        for each in env.chatwoot.messages(conversation)
        if each["content_type"] == "input_csat"
    )
    env.told(number, conversation)
    env.drain()
    return int(number)


def answers(env: Env, text: str, *, sent_at: float | None = None, **more: Any) -> None:
    """In answer to the survey itself, as chats and mail programs tell of it."""
    card = f"card-{env.network.sent[0].id}"
    env.customer_writes(text, number=f"{text}!", reply_to=card, sent_at=sent_at, **more)
    env.drain()


def says(env: Env, text: str, number: str = "") -> None:
    env.customer_writes(text, number=number or f"said {text}")
    env.drain()


def rated(env: Env) -> list[tuple[int, str | None]]:
    """What Chatwoot's reports show."""
    url = f"{env.chatwoot.url}/api/v1/accounts/1/csat_survey_responses"
    token = env.chatwoot.administrator.token
    found = requests.get(url, headers={"Api-Access-Token": token}, timeout=10).json()
    return [(each["rating"], each["feedback_message"]) for each in found]


def status(env: Env) -> str:
    return str(env.chatwoot.conversations()[0]["status"])


def test_without_buttons_a_digit_is_the_rating_and_no_message(env: Env) -> None:
    asks(env)
    [question] = env.network.sent
    assert "/survey/responses/" in question.text
    assert question.text.endswith(HINT)
    says(env, " 4. ")
    assert rated(env) == [(4, None)]
    assert env.incoming() == ["hello"]
    assert status(env) == "resolved"


@pytest.mark.usefixtures("keyed")
def test_with_buttons_there_are_five_and_the_link(env: Env) -> None:
    asks(env)
    [question] = env.network.sent
    assert "/survey/responses/" in question.text and HINT not in question.text
    assert [button.label for button in question.buttons] == [
        "1 😞",
        "2 😑",
        "3 😐",
        "4 😀",
        "5 😍",
    ]
    answers(env, "5 😍")
    assert rated(env) == [(5, None)]
    assert env.incoming() == ["hello"]
    assert status(env) == "resolved"


def test_a_later_rating_replaces_the_earlier_and_keeps_its_words(env: Env) -> None:
    asks(env)
    says(env, "1")
    answers(env, "too slow")
    says(env, "3", "again")
    assert rated(env) == [(3, "too slow")]
    assert env.incoming() == ["hello"]


@pytest.mark.usefixtures("keyed")
def test_the_button_of_a_survey_that_is_closed_still_counts(env: Env) -> None:
    asks(env)
    env.agent_replies("one more thing")
    env.drain()
    answers(env, "2 😑")
    assert rated(env) == [(2, None)]


def test_a_digit_in_answer_to_the_survey_counts_also_after_other_words(env: Env) -> None:
    asks(env)
    says(env, "thank you")
    answers(env, "2\n\nOn Sunday, we wrote:\n> Please rate this conversation\n>\n> bye")
    assert rated(env) == [(2, None)]
    assert env.incoming() == ["hello", "thank you"]


@pytest.mark.parametrize("text", ["0", "6", "42", "4 parcels", "four", "4 😍", "-4"])
def test_what_is_no_rating_is_a_message(env: Env, text: str) -> None:
    asks(env)
    says(env, text)
    assert rated(env) == []
    assert env.incoming() == ["hello", text]


def test_a_digit_without_a_survey_is_a_message(env: Env) -> None:
    says(env, "4")
    assert env.incoming() == ["hello", "4"]


def test_a_digit_after_another_reply_is_a_message(env: Env) -> None:
    asks(env)
    env.agent_replies("How many?")
    env.drain()
    says(env, "4")
    assert (rated(env), env.incoming()) == ([], ["hello", "4"])


def test_a_digit_after_a_message_of_the_customer_is_a_message(env: Env) -> None:
    asks(env)
    says(env, "How many do I get?")
    says(env, "4")
    assert (rated(env), env.incoming()) == ([], ["hello", "How many do I get?", "4"])


def test_a_digit_in_answer_to_something_else_is_a_message(env: Env) -> None:
    asks(env)
    env.customer_writes("4", number="n", reply_to="hello")
    env.drain()
    assert rated(env) == []
    assert env.incoming()[-1].endswith("4")


def test_a_digit_with_a_file_is_a_message(env: Env) -> None:
    asks(env)
    env.customer_writes("4", number="f", attachments=(Attachment("a", "a.txt", "text/plain", 1),))
    env.drain()
    assert (rated(env), env.incoming()) == ([], ["hello", "4"])


def test_words_in_answer_within_a_minute_are_its_feedback(env: Env) -> None:
    asks(env)
    now = time.time()
    answers(env, "4", sent_at=now)
    answers(env, "very kind", sent_at=now + FEEDBACK - 1)
    answers(env, "and quick", sent_at=now + FEEDBACK - 0.5)
    assert rated(env) == [(4, "very kind\nand quick")]
    assert (env.incoming(), status(env)) == (["hello"], "resolved")


def test_words_after_a_minute_are_a_message(env: Env) -> None:
    asks(env)
    now = time.time()
    answers(env, "4", sent_at=now)
    answers(env, "one more question", sent_at=now + FEEDBACK + 1)
    assert rated(env) == [(4, None)]
    assert env.incoming()[-1].endswith("one more question")


def test_words_that_answer_nothing_are_a_message(env: Env) -> None:
    asks(env)
    says(env, "4")
    says(env, "I need help")
    assert rated(env) == [(4, None)]
    assert env.incoming() == ["hello", "I need help"]


def test_words_before_a_rating_are_a_message(env: Env) -> None:
    asks(env)
    answers(env, "what is this?")
    assert rated(env) == []
    assert env.incoming()[-1].endswith("what is this?")


def test_a_survey_that_is_too_old_makes_the_digit_a_message(env: Env) -> None:
    number = asks(env)
    with env.chatwoot.store.changing():
        env.chatwoot.store.messages.get(number).created_at -= SURVEY_OPEN + 1
    says(env, "4")
    assert (rated(env), env.incoming()) == ([], ["hello", "4"])


@pytest.mark.parametrize("code", [400, 403, 404, 422, 500])
def test_a_refusal_makes_the_digit_a_message(env: Env, code: int) -> None:
    asks(env)
    env.chatwoot.fault("status", method="PATCH", path="/public/*", status=code)
    says(env, "4")
    assert (rated(env), env.incoming()) == ([], ["hello", "4"])


def test_an_answer_that_is_dropped_without_a_word_becomes_a_message(env: Env) -> None:
    """Older releases take the call, and not what is in it."""
    number = asks(env)
    with env.chatwoot.store.changing():
        env.chatwoot.store.messages.get(number).content_type = "text"
    says(env, "4")
    assert env.incoming() == ["hello", "4"]


def test_while_chatwoot_is_away_the_rating_waits(env: Env) -> None:
    asks(env)
    env.chatwoot.go_away()
    says(env, "4")
    env.chatwoot.come_back()
    env.drain_until(lambda: rated(env) == [(4, None)])
    assert env.incoming() == ["hello"]


def test_a_lost_answer_is_asked_for_again_and_counts_once(env: Env) -> None:
    asks(env)
    env.chatwoot.fault("lose", method="PATCH", path="/public/*")
    says(env, "4")
    env.drain_until(lambda: env.store.hget(keys.message("i:cards:said 4"), "state") == "done")
    assert (rated(env), env.incoming()) == ([(4, None)], ["hello"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_at_it_rates_once(
    env: Env, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks(env)
    submit = Surveys.submit

    def dies(self: Surveys, answer: Any) -> bool:
        if when == "after":
            submit(self, answer)
        raise LeaseLost("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Surveys, "submit", dies)
        says(env, "4")
    env.make_due()
    env.drain_until(lambda: env.store.hget(keys.message("i:cards:said 4"), "state") == "done")
    assert (rated(env), env.incoming()) == ([(4, None)], ["hello"])


def test_a_refused_answer_that_was_posted_is_not_a_rating_as_well(env: Env) -> None:
    asks(env)
    env.chatwoot.fault("status", method="PATCH", path="/public/*", status=500)
    env.chatwoot.fault("lose", method="POST", path="*/messages")
    says(env, "4")
    env.chatwoot.clear_faults()
    env.drain_until(lambda: env.store.hget(keys.message("i:cards:said 4"), "state") == "done")
    assert (rated(env), env.incoming()) == ([], ["hello", "4"])


def test_an_address_of_any_letters_is_found(env: Env) -> None:
    peer = "ada.l+x/y@example.org"
    env.customer_writes("good day", peer=peer)
    env.drain()
    asks(env, 2)
    env.customer_writes("4", peer=peer, number="odd")
    env.drain()
    assert rated(env) == [(4, None)]


def test_where_it_is_off_a_survey_is_a_sentence_with_a_link(env: Env) -> None:
    config = env.channel.config.model_copy(update={"survey": False})
    channels = {"cards": replace(env.channel, config=config, adapter=Plain)}
    with opened(replace(env.settings, channels=channels), env.chatwoot, env.store) as off:
        asks(off)
        assert "/survey/responses/" in off.network.sent[0].text
        assert HINT not in off.network.sent[0].text
        says(off, "4")
        assert off.incoming() == ["hello", "4"]


def test_a_survey_that_the_look_has_found_has_its_link_too(env: Env) -> None:
    env.chatwoot.agent_resolve(1)
    way = env.deliveries.chatwoots["main"]
    number = next(m["id"] for m in env.chatwoot.messages(1) if m["content_type"] == "input_csat")
    env.intake.take_event(env.channel, as_event(way.conversation(1), way.message(1, number)))
    env.drain()
    [question] = env.network.sent
    uuid = env.chatwoot.store.conversation(1, 1).uuid
    assert f"{env.chatwoot.url}/survey/responses/{uuid}" in question.text
