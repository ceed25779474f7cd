"""Mails become messages, however they were written."""

from __future__ import annotations

import os
import random

import pytest

from adapters.email.incoming import NOBODY, read_mail
from adapters.email.threads import KEPT_REFERENCES, OwnIds, shortened, token_of
from tests.adapters.email_kit import ADDRESS, mail, read


def test_a_plain_mail() -> None:
    inbound = read(mail("Where is it?\r\nAnna", References="<m0@customer.example>"))
    assert inbound.id == "<m1@customer.example>"
    assert inbound.peer == "anna@customer.example"
    assert inbound.text == "Where is it?\nAnna"
    assert (inbound.person.name, inbound.person.email) == ("Anna Smith", "anna@customer.example")
    assert inbound.sent_at == 1768899600
    assert inbound.thread == token_of("<m0@customer.example>")
    assert inbound.context == {
        "subject": "Parcel",
        "message_id": "<m1@customer.example>",
        "references": "<m0@customer.example>",
    }


@pytest.mark.parametrize(
    ("declared", "body", "text"),
    [
        ("utf-8", "grüß".encode(), "grüß"),
        ("iso-8859-1", "grüß “x”".encode("cp1252"), "grüß “x”"),
        ("ks_c_5601-1987", "안녕하세요".encode("cp949"), "안녕하세요"),
        ("gb2312", "镕基".encode("gb18030"), "镕基"),
        ("unicode-1-1-utf-7", "grüß".encode("utf-7"), "grüß"),
        ("x-unheard-of", "grüß".encode(), "grüß"),
        ("us-ascii", "grüß".encode(), "grüß"),
        ("utf-8", b"gr\xfc\xdf", "gr\ufffd\ufffd"),
        ("koi8-r", "привет".encode("koi8-r"), "привет"),
        ("utf-8", b"a\0b", "ab"),
        ("base64", b"plain", "plain"),
    ],
)
def test_charsets_are_read_as_they_are_meant(declared: str, body: bytes, text: str) -> None:
    found = read(mail(body, Content_Type=f"text/plain; charset={declared}"))
    assert found.text == text


MIXED = """--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain\r\n\
--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n\
--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nfile\r\n\
--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--b--\r\n"""


def test_the_written_text_is_read_and_attachments_are_not() -> None:
    assert read(mail(MIXED, Content_Type="multipart/mixed; boundary=b")).text == "plain"


def test_html_becomes_text() -> None:
    body = "<p>Hello <b>you</b></p><script>x()</script><ul><li>one</li></ul>"
    text = read(mail(body, Content_Type="text/html")).text
    assert "Hello you" in text
    assert "one" in text
    assert "<" not in text
    assert "x()" not in text


def test_headers_are_decoded_and_kept_on_one_line() -> None:
    inbound = read(
        mail(
            From='"=?utf-8?q?Smith=2C_Anna_=C3=9F?=" <anna@customer.example>',
            Subject="=?utf-8?b?R3LDvMOfZQ==?=\r\n folded",
        )
    )
    assert inbound.person.name == "Smith, Anna ß"
    assert inbound.context["subject"] == "Grüße folded"
    assert read(mail(Subject="rohe Grüße")).context["subject"] == "rohe Grüße"
    assert read(mail(Subject="=?utf-8?b?!!!?=")).context["subject"]


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({"Reply_To": "other@customer.example"}, "anna@customer.example"),
        (
            {"From": "Form <no-reply@shop.example>", "Reply_To": "Bo <BO@c.example>"},
            "bo@c.example",
        ),
        ({"From": "noreply@shop.example"}, "noreply@shop.example"),
        ({"From": "", "Sender": "s@c.example"}, "s@c.example"),
        ({"From": "nobody here"}, NOBODY),
    ],
)
def test_the_peer_is_whom_an_answer_should_reach(headers: dict[str, str], peer: str) -> None:
    assert read(mail(**headers)).peer == peer


def test_a_mail_without_an_id_gets_one_that_stays() -> None:
    first, again = (read(mail("x", Message_ID="")) for _ in range(2))
    assert first == again
    assert first.id != read(mail("y", Message_ID="")).id


def test_our_own_ids_name_the_thread_wherever_they_stand() -> None:
    own = OwnIds.of(ADDRESS)
    ours = own.make(token_of("first"), "part-1")
    for headers in (
        {"In_Reply_To": ours},
        {"References": f"<x@y> {ours} <z@y>", "In_Reply_To": "<z@y>"},
        {"References": f"<x@y> {ours.upper()}"},
    ):
        assert read(mail(**headers)).thread == token_of("first")
    foreign = ours.replace("shop.example", "evil.example")
    assert read(mail(References=foreign)).thread == token_of(foreign)


def test_the_newest_of_our_ids_wins() -> None:
    own = OwnIds.of(ADDRESS)
    old, new = own.make(token_of("old"), "1"), own.make(token_of("new"), "2")
    assert read(mail(References=f"{old} {new}")).thread == token_of("new")


def test_a_thread_keeps_its_token_without_our_ids() -> None:
    first = read(mail(Message_ID="<a@c.example>"))
    second = read(mail(Message_ID="<b@c.example>", References="<a@c.example>"))
    third = read(mail(Message_ID="<c@c.example>", In_Reply_To="<a@c.example>"))
    assert first.thread == second.thread == third.thread


def test_our_own_mail_that_comes_back_is_dropped() -> None:
    ours = OwnIds.of(ADDRESS).make(token_of("t"), "p")
    assert read_mail(ADDRESS, mail(Message_ID=ours), is_whole=True) is None


def test_long_threads_keep_their_first_and_newest_references() -> None:
    many = [f"<{number}@c>" for number in range(100)]
    kept = shortened(many)
    assert len(kept) == KEPT_REFERENCES + 1
    assert (kept[0], kept[1], kept[-1]) == ("<0@c>", "<80@c>", "<99@c>")


def test_no_mail_is_refused() -> None:
    dice = random.Random(7)
    samples = [
        mail(MIXED, Content_Type="multipart/mixed; boundary=b"),
        mail("<p>x", Content_Type="text/html; charset=utf-16"),
        mail("=?", Content_Type="text/plain", Content_Transfer_Encoding="base64"),
        b"",
        b"\r\n\r\n",
        b"From: \xff\xfe\r\nContent-Type: multipart/mixed\r\n\r\nx",
        mail(Date="Tue, 99 Foo 2026 99:99:99 +9999", References="<" * 500),
        mail(Content_Type="text/plain; charset*=utf-8'en'%FF; charset=\"\""),
    ]
    for sample in samples:
        for _ in range(int(os.environ.get("FUZZ", "480")) // len(samples)):
            changed = bytearray(sample or b"x")
            for _ in range(dice.randint(0, 5)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            inbound = read(bytes(changed))
            assert inbound.id
            assert inbound.peer
            assert inbound.text or inbound.attachments
            assert "\0" not in inbound.text + inbound.person.name + inbound.context.get(
                "subject", ""
            )
            inbound.text.encode()


def test_a_mail_that_cannot_be_read_is_told_to_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> str:
        raise AssertionError("inside the HTML reader")

    monkeypatch.setattr("adapters.email.incoming.as_text", broken)
    inbound = read(mail("<p>x</p>", Content_Type="text/html"))
    assert "could not be read" in inbound.text
    assert inbound == read(mail("<p>x</p>", Content_Type="text/html"))
