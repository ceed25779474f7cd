"""A mailbox read over real IMAP and answered over real SMTP."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

import pytest
from imap_tools import AND, MailBoxUnencrypted
from pydantic import ValidationError

from adapters.email import Email
from adapters.email.inbox import wait_for_data
from adapters.email.threads import token_of
from gateway.errors import (
    BadCredentials,
    DeliveryError,
    LeaseLost,
    Permanent,
    Retry,
    Uncertain,
    Unreachable,
)
from gateway.http import fence
from gateway.model import Batch, Inbound, Part
from sandbox.mail import MailStandIn
from tests.adapters.email_kit import PASSWORD, channel, mail
from tests.adapters.reading import polled
from tests.adapters.smtp_script import SmtpScript
from tests.scripted import refused_port
from tests.waiting import until

ANNA = "anna@customer.example"


@pytest.fixture
def provider() -> Iterator[MailStandIn]:
    with MailStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def mailbox(provider: MailStandIn) -> Iterator[Email]:
    adapter = channel(
        password=provider.password, imap_port=provider.imap_port, smtp_port=provider.smtp_port
    )
    yield adapter
    adapter.close()


def texts(batch: Batch) -> list[str]:
    return [item.text for item in batch.items if isinstance(item, Inbound)]


def writes(provider: MailStandIn, *words: str) -> None:
    for text in words:
        provider.customer_writes(ANNA, "Anna", "Parcel", text)


# ---- reading


def test_the_first_poll_starts_from_now(provider: MailStandIn, mailbox: Email) -> None:
    writes(provider, "old")
    first = polled(mailbox, None)
    assert first.items == ()
    assert polled(mailbox, first.cursor) == Batch((), first.cursor)
    writes(provider, "new")
    second = polled(mailbox, first.cursor)
    assert texts(second) == ["new"]
    assert polled(mailbox, second.cursor) == Batch((), second.cursor)


def test_a_batch_that_was_not_stored_comes_again(provider: MailStandIn, mailbox: Email) -> None:
    start = polled(mailbox, None).cursor
    writes(provider, "one", "two")
    assert polled(mailbox, start).items == polled(mailbox, start).items != ()


def test_mails_stay_unread(provider: MailStandIn, mailbox: Email) -> None:
    start = polled(mailbox, None).cursor
    writes(provider, "one")
    polled(mailbox, start)
    box = MailBoxUnencrypted(provider.host, provider.imap_port, timeout=10)
    box.login(provider.user, provider.password)
    assert len(box.uids(AND(seen=False))) == 1
    box.logout()


def test_new_mail_ends_the_waiting(provider: MailStandIn) -> None:
    adapter = channel(
        password=provider.password, imap_port=provider.imap_port, smtp_port=1, idle=20.0
    )
    start = polled(adapter, None).cursor
    found: list[Batch] = []
    thread = threading.Thread(target=lambda: found.append(polled(adapter, start)))
    began = monotonic()
    thread.start()
    while thread.is_alive():  # one written before IDLE begins may be told of only when it ends
        writes(provider, "quick")
        thread.join(0.5)
    assert set(texts(found[0])) == {"quick"}
    assert monotonic() - began < 15
    adapter.close()


def test_close_ends_the_waiting(provider: MailStandIn) -> None:
    adapter = channel(
        password=provider.password, imap_port=provider.imap_port, smtp_port=1, idle=60.0
    )
    start = polled(adapter, None).cursor
    ended = threading.Event()

    def wait() -> None:
        with suppress(DeliveryError):
            polled(adapter, start)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    deadline = monotonic() + 30  # half of the time for which it would wait
    while not ended.wait(0.1):
        assert monotonic() < deadline
        adapter.close()


def test_a_wait_ends_when_another_thread_shuts_and_closes_at_once() -> None:
    for _ in range(20):
        ours, theirs = socket.socketpair()
        with theirs, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(wait_for_data, ours, 60.0)
            until(waiting.running)
            ours.shutdown(socket.SHUT_RDWR)
            ours.close()
            waiting.exception(5)  # raises TimeoutError; an error within may be: closed before


def test_at_most_fifty_at_once(provider: MailStandIn, mailbox: Email) -> None:
    cursor = polled(mailbox, None).cursor
    writes(provider, *(f"number {n}" for n in range(60)))
    batches = [polled(mailbox, cursor)]
    batches.append(polled(mailbox, batches[0].cursor))
    assert [len(batch.items) for batch in batches] == [50, 10]
    assert [text for batch in batches for text in texts(batch)] == [
        f"number {n}" for n in range(60)
    ]


def test_after_a_renumbering_nothing_is_lost(provider: MailStandIn, mailbox: Email) -> None:
    cursor = polled(mailbox, None).cursor
    writes(provider, "before")
    read = polled(mailbox, cursor)
    writes(provider, *(f"meanwhile {n}" for n in range(55)))
    provider.renumber()
    with pytest.raises(Unreachable):
        polled(mailbox, read.cursor)
    again = polled(mailbox, read.cursor)
    rest = polled(mailbox, again.cursor)
    found = texts(again) + texts(rest)
    assert found == ["before", *(f"meanwhile {n}" for n in range(55))]
    ids = {
        item.id for item in (*read.items, *again.items, *rest.items) if isinstance(item, Inbound)
    }
    assert len(ids) == 56, "what is read twice must be known by its id"
    assert polled(mailbox, rest.cursor).items == ()


def test_a_cut_connection_is_opened_again(provider: MailStandIn, mailbox: Email) -> None:
    cursor = polled(mailbox, None).cursor
    provider.cut_imap()
    writes(provider, "after")
    with pytest.raises(Unreachable):
        polled(mailbox, cursor)
    assert texts(polled(mailbox, cursor)) == ["after"]


def test_one_broken_mail_holds_up_nothing(provider: MailStandIn, mailbox: Email) -> None:
    cursor = polled(mailbox, None).cursor
    provider.customer_writes(ANNA, raw=b"\xff\xfe\r\n\r\n\x00garbage")
    provider.customer_writes(ANNA, raw=mail("fine"))
    batch = polled(mailbox, cursor)
    assert len(batch.items) == 2
    assert texts(batch)[1] == "fine"


def test_a_wrong_password_is_told(provider: MailStandIn, mailbox: Email) -> None:
    provider.refuse_logins(times=None)
    with pytest.raises(BadCredentials):
        polled(mailbox, None)
    with pytest.raises(BadCredentials):
        mailbox.send(Part("p", ANNA, "x"))
    with pytest.raises(BadCredentials):
        mailbox.connect()


def test_connect_looks_at_both_servers(mailbox: Email) -> None:
    assert "reading INBOX" in mailbox.connect()


@pytest.mark.parametrize("greeting", ["hang up", "drip", "HTTP/1.1 400 Bad Request"])
def test_a_server_that_speaks_no_imap(greeting: str) -> None:
    with SmtpScript({"connect": greeting}) as server:
        adapter = channel(imap_port=server.port, smtp_port=1, deadline=0.4)
        began = monotonic()
        with pytest.raises(Retry):
            polled(adapter, None)
        assert monotonic() - began < 5


def test_nobody_listens() -> None:
    adapter = channel(imap_port=refused_port(), smtp_port=refused_port())
    with pytest.raises(Unreachable):
        polled(adapter, None)
    with pytest.raises(Unreachable):
        adapter.send(Part("p", ANNA, "x"))


# ---- sending


def test_a_thread_holds_on_both_sides(provider: MailStandIn, mailbox: Email) -> None:
    cursor = polled(mailbox, None).cursor
    asked = provider.customer_writes(ANNA, "Anna", "Parcel", "Where?")
    batch = polled(mailbox, cursor)
    (question,) = batch.items
    assert isinstance(question, Inbound)
    text = "Grüße.\n\n.dot\n" + "long " * 400
    part = Part(
        "9:1",
        question.peer,
        text,
        thread=question.thread,
        context=question.context,
        sender="Bö, Agent\r\nBcc: x@y.example",
    )
    sent = mailbox.send(part)
    (answer,) = provider.inbox_of(ANNA)
    assert answer["Message-ID"] == sent.external_id
    assert answer["In-Reply-To"] == answer["References"] == asked
    assert answer["Subject"] == "Re: Parcel"
    assert answer["From"].addresses[0].display_name == "Bö, Agent Bcc: x@y.example"
    assert answer["Bcc"] is None
    assert answer.get_content().replace("\r\n", "\n").rstrip() == text.rstrip()
    provider.customer_writes(ANNA, "Anna", "Re: Parcel", "Thanks", in_reply_to=sent.external_id)
    thanks = polled(mailbox, batch.cursor).items[0]
    assert isinstance(thanks, Inbound)
    assert thanks.thread == question.thread
    assert thanks.reply_to == sent.external_id


def test_the_same_part_has_the_same_id(provider: MailStandIn, mailbox: Email) -> None:
    part = Part("9:1", ANNA, "x", thread=token_of("t"))
    assert Email.capabilities.idempotent
    assert mailbox.send(part) == mailbox.send(part)
    assert mailbox.send(Part("9:2", ANNA, "x", thread=token_of("t"))) != mailbox.send(part)


def test_an_agent_may_begin(provider: MailStandIn, mailbox: Email) -> None:
    sent = mailbox.send(Part("9:1", ANNA, "Hello"))
    (first,) = provider.inbox_of(ANNA)
    assert first["Subject"] == "Your message"
    assert first["In-Reply-To"] is None
    assert token_of("9:1") in sent.external_id


@pytest.mark.parametrize(
    ("subject", "answered"),
    [
        ("Parcel", "Re: Parcel"),
        ("Re: Parcel", "Re: Parcel"),
        ("AW: Parcel", "AW: Parcel"),
        ("RE[2]: Parcel", "RE[2]: Parcel"),
        ("Regarding", "Re: Regarding"),
        ("", "Re:"),
        ("Paket für Sie " + "ü" * 90, "Re: Paket für Sie " + "ü" * 90),
        ("a\r\nBcc: x@y.example", "Re: a Bcc: x@y.example"),
        ("a\0\x1bb", "Re: a b"),
    ],
)
def test_the_subject_is_answered_once(
    provider: MailStandIn, mailbox: Email, subject: str, answered: str
) -> None:
    context = {"subject": subject, "message_id": "<m@c.example>"}
    mailbox.send(Part("9:1", ANNA, "x", context=context))
    (answer,) = provider.inbox_of(ANNA)
    assert answer["Subject"].strip() == answered
    assert answer["Bcc"] is None


def test_long_references_stay_what_they_are(provider: MailStandIn, mailbox: Email) -> None:
    many = [f"<{'x' * 90}{number}@c.example>" for number in range(40)]
    context = {"subject": "s", "message_id": "<m@c.example>", "references": " ".join(many)}
    mailbox.send(Part("9:1", ANNA, "x", context=context))
    (answer,) = provider.inbox_of(ANNA)
    assert str(answer["References"]).split() == [many[0], *many[-19:], "<m@c.example>"]


@pytest.mark.parametrize("peer", ["", "anna", "a@b, c@d", "a@b\r\nRCPT TO:<x@y>", "ä@b.example"])
def test_a_peer_that_is_no_address_is_refused(mailbox: Email, peer: str) -> None:
    with pytest.raises(Permanent):
        mailbox.send(Part("p", peer, "x"))


@pytest.mark.parametrize(
    ("answers", "error", "reason"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, Permanent, "550 5.1.1 no such user"),
        ({"RCPT": "450 4.2.0 greylisted"}, Retry, "greylisted"),
        ({"MAIL": "421 too many"}, Retry, "too many"),
        ({"MAIL": "552 too large"}, Permanent, "too large"),
        ({"DATA": "451 later"}, Retry, "later"),
        ({"mail": "554 spam"}, Permanent, "spam"),
        ({"mail": "452 full"}, Retry, "full"),
        ({"mail": "hang up"}, Uncertain, "lost"),
        ({"RCPT": "hang up"}, Unreachable, "closed the connection"),
        ({"connect": "554 go away"}, Permanent, "go away"),
        ({"connect": "421 busy"}, Retry, "busy"),
        ({"connect": "hang up"}, Unreachable, ""),
    ],
)
def test_what_the_server_says_is_told(
    answers: dict[str, str], error: type[DeliveryError], reason: str
) -> None:
    with SmtpScript(answers) as server, pytest.raises(DeliveryError) as caught:
        channel(smtp_port=server.port).send(Part("p", ANNA, "x"))
    assert type(caught.value) is error
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("where", "error"), [("connect", Unreachable), ("RCPT", Unreachable), ("mail", Uncertain)]
)
def test_a_dripping_server_is_left_at_the_deadline(where: str, error: type[DeliveryError]) -> None:
    with SmtpScript({where: "drip"}) as server:
        began = monotonic()
        with pytest.raises(error):
            channel(smtp_port=server.port, deadline=0.4).send(Part("p", ANNA, "x"))
        assert monotonic() - began < 5


def test_a_failed_farewell_does_no_harm() -> None:
    with SmtpScript({"QUIT": "hang up"}) as server:
        assert channel(smtp_port=server.port).send(Part("p", ANNA, "x"))


def test_the_fence_stops_a_mail() -> None:
    def lost() -> None:
        raise LeaseLost

    token = fence.set(lost)
    try:
        with SmtpScript({}) as server, pytest.raises(LeaseLost):
            channel(smtp_port=server.port).send(Part("p", ANNA, "x"))
    finally:
        fence.reset(token)
    assert "DATA" not in server.heard


def test_a_lost_answer_is_unknown_and_repeating_is_safe(
    provider: MailStandIn, mailbox: Email
) -> None:
    provider.lose_answer_to_data()
    part = Part("9:1", ANNA, "x")
    with pytest.raises(Uncertain):
        mailbox.send(part)
    mailbox.send(part)
    assert len({answer["Message-ID"] for answer in provider.inbox_of(ANNA)}) == 1


def test_no_password_goes_over_the_network_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="unencrypted"):
        channel(imap_host="mail.example")
    with pytest.raises(ValidationError, match="unencrypted"):
        channel(smtp_host="mail.example")
    channel(imap_host="localhost", smtp_host="::1")


def test_the_password_gets_into_no_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    for answers in (
        {"connect": "hang up"},
        {"AUTH": "535 no"},
        {"AUTH": "235 yes", "mail": "554 no"},
    ):
        with SmtpScript({"EHLO": "250-hello\r\n250 AUTH PLAIN LOGIN", **answers}) as server:
            adapter = channel(smtp_port=server.port, imap_port=server.port, deadline=0.5)
            with pytest.raises(DeliveryError) as unsent:
                adapter.send(Part("p", ANNA, "x"))
            with pytest.raises(DeliveryError) as unread:
                polled(adapter, None)
        for error in (unsent.value, unread.value):
            seen += [error.reason, error.detail, repr(adapter.config)]
    assert PASSWORD not in caplog.text + "".join(seen)
