"""What strangers may write to make reading it expensive, or to make it say what it does not.

Made by code, so that none is a large file. Each is a mail, an update or a text, by its name.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.model import Unread
from tests.adapters.email_kit import mail

HTML = "text/html; charset=utf-8"


def html(text: str) -> bytes:
    return mail(text, Content_Type=HTML)


def header(name: str, value: str) -> bytes:
    return mail("x", **{name: value})


def wide_table(size: int) -> bytes:
    """One very wide cell, and rows that are each padded to its width."""
    wide = "x" * (size // 3)
    rows = "<tr><td>a<td>b" * (size * 2 // 3 // 14)
    return html(f"<table><tr><td>{wide}<td>b{rows}</table>")


def nested_mails(depth: int) -> bytes:
    """Mails within mails."""
    inner = b"Content-Type: message/rfc822\r\n\r\n" * depth
    return mail(inner + b"Subject: at last\r\n\r\nx", Content_Type="message/rfc822")


def nested_parts(depth: int) -> bytes:
    """Parts within parts, each with a boundary of its own."""
    lines = [
        f"--b{level}\r\nContent-Type: multipart/mixed; boundary=b{level + 1}\r\n\r\n"
        for level in range(depth)
    ]
    return mail("".join(lines) + "x", Content_Type="multipart/mixed; boundary=b0")


def many_parts(number: int, part: str = "Content-Type: text/plain\r\n\r\nx\r\n") -> bytes:
    body = f"--b\r\n{part}" * number + "--b--\r\n"
    return mail(body, Content_Type="multipart/mixed; boundary=b")


def encoded(data: bytes, encoding: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    return mail(data, Content_Type=kind, Content_Transfer_Encoding=encoding)


def charset(name: str, data: bytes = b"\x80\xff gr\xfc\xdfe") -> bytes:
    return mail(data * 20, Content_Type=f'text/plain; charset="{name}"')


def _of(tag: str, number: int, inside: str = "") -> bytes:
    return html(f"<{tag}>" * number + inside + f"</{tag}>" * number)


MAILS: Final[Mapping[str, Callable[[], bytes]]] = {
    "990 nested mails": lambda: nested_mails(990),
    "20,000 nested mails": lambda: nested_mails(20_000),
    "100 nested mails": lambda: nested_mails(100),
    "900 nested parts": lambda: nested_parts(900),
    "20,000 nested parts": lambda: nested_parts(20_000),
    "20,000 parts": lambda: many_parts(20_000),
    "20,000 parts of HTML": lambda: many_parts(20_000, "Content-Type: text/html\r\n\r\n<b>x\r\n"),
    "5,000 files": lambda: many_parts(
        5000, "Content-Disposition: attachment; filename=a\r\n\r\nx\r\n"
    ),
    "a part that never ends": lambda: mail(
        "--b\r\n" * 100_000, Content_Type="multipart/mixed; boundary=b"
    ),
    "an empty boundary": lambda: mail(
        "--\r\n" * 50_000, Content_Type='multipart/mixed; boundary=""'
    ),
    "a boundary of 100 kB": lambda: mail(
        "x", Content_Type=f"multipart/mixed; boundary={'b' * 100_000}"
    ),
    "20,000 headers": lambda: b"X-A: b\r\n" * 20_000 + mail("x"),
    "20,000 From": lambda: b"From: a@b.example\r\n" * 20_000 + mail("x"),
    "a header of 1 MB": lambda: header("X_Long", "x" * 1_000_000),
    "a header of 100,000 lines": lambda: header("X_Long", "x\r\n " * 100_000),
    "a From of 900 kB": lambda: header("From", "a" * 900_000 + "@customer.example"),
    "a name of 900 kB": lambda: header("From", '"' + "a" * 900_000 + '" <a@customer.example>'),
    "100,000 addresses": lambda: header("From", "a@b.example, " * 100_000),
    "100,000 brackets": lambda: header("From", "<" * 100_000),
    "100,000 comments": lambda: header("From", "(" * 100_000),
    "100,000 quotes": lambda: header("From", '"' * 100_001),
    "100,000 groups": lambda: header("From", "a:" * 100_000),
    "a subject of 900 kB": lambda: header("Subject", "x" * 900_000),
    "20,000 encoded words": lambda: header("Subject", "=?utf-8?q?x?= " * 20_000),
    "encoded words that do not end": lambda: header("Subject", "=?utf-8?q?" * 50_000),
    "an encoded word of 500 kB": lambda: header("Subject", f"=?utf-8?b?{'QUFB' * 125_000}?="),
    "an encoded word in no charset": lambda: header("Subject", "=?zip?b?QUFB?="),
    "50,000 references": lambda: header("References", "<a@b.example> " * 50_000),
    "references that do not end": lambda: header("References", "<a" * 200_000),
    "a Message-ID of 500 kB": lambda: header("Message_ID", f"<{'a' * 500_000}@b.example>"),
    "a date of 500 kB": lambda: header("Date", "1" * 500_000),
    "a date beyond time": lambda: header("Date", "Tue, 20 Jan 99999999 10:00:00 +9999"),
    "a parameter of 100 kB of ;": lambda: header(
        "Content_Type", f'text/plain; a="{";" * 100_000}"'
    ),
    "a parameter of 300 kB of ;": lambda: header("Content_Type", f'text/plain; a="{";" * 300_000}'),
    "a file name of 300 kB of ;": lambda: header(
        "Content_Disposition", f'attachment; filename="{";" * 300_000}"'
    ),
    "20,000 continued parameters": lambda: header(
        "Content_Type", "text/plain" + "".join(f"; a*{n}=b" for n in range(20_000))
    ),
    "a continued parameter of 10^9": lambda: header("Content_Type", "text/plain; a*999999999*=b"),
    "escaped quotes": lambda: header("Content_Type", 'text/plain; a="' + '\\"' * 100_000),
    "paddings": lambda: html('<p style="padding-left:99999em">a</p>' * 6000),
    "margins": lambda: html('<p style="margin-top:99999em">a</p>' * 6000),
    "nested paddings": lambda: html('<div style="padding-left:9999em">' * 200 + "a"),
    "a length without a number": lambda: html('<p style="padding-left:em;margin-top:..em">a'),
    "a wide table of 70 kB": lambda: wide_table(70_000),
    "a wide table of 210 kB": lambda: wide_table(210_000),
    "a wide table of 350 kB": lambda: wide_table(350_000),
    "tables within tables": lambda: html("<table><tr><td>" * 250 + "x" * 1000),
    "20,000 tables within tables": lambda: html("<table><tr><td>" * 20_000),
    "a tall cell": lambda: html("<table><tr><td>" + "a<br>" * 40_000 + "<td>b" * 100 + "</table>"),
    "50,000 cells": lambda: html("<table><tr>" + "<td>a" * 50_000),
    "318 nested divs": lambda: _of("div", 318, "deep"),
    "50,000 nested divs": lambda: _of("div", 50_000, "deep"),
    "50,000 nested quotations": lambda: _of("blockquote", 50_000, "deep"),
    "50,000 nested lists": lambda: html("<ul><li>" * 50_000 + "deep"),
    "200 nested lists": lambda: html("<ul><li>" * 200 + "deep" * 5000),
    "100,000 open tags": lambda: html("<b" * 100_000),
    "100,000 attributes": lambda: html("<p " + " ".join(f"a{n}=1" for n in range(30_000)) + ">x"),
    "100,000 rules in a style": lambda: html(f'<p style="{"display:none;" * 30_000}">x'),
    "100,000 comments in HTML": lambda: html("<!--" * 100_000),
    "100,000 entities": lambda: html("&amp;" * 70_000),
    "entities that multiply": lambda: html(
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><p>&c;&c;&c;</p>'
    ),
    "an entity from a file": lambda: html(
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>&a;'
    ),
    "blanks": lambda: html("<pre>" + " " * 390_000),
    "a text of 30 MB": lambda: mail("x" * 30_000_000),
    "30 MB of lines": lambda: mail("x\r\n" * 10_000_000),
    "a file of 30 MB": lambda: encoded(b64encode(b"\0" * 22_000_000), "base64", "image/png"),
    "base64 that is not": lambda: encoded(b"=" * 300_000 + b"!" * 300_000, "base64"),
    "base64 of one line": lambda: encoded(b64encode(b"x" * 600_000), "base64"),
    "quoted-printable of =": lambda: encoded(b"=" * 500_000, "quoted-printable"),
    "uuencoded": lambda: encoded(b"begin 644 a\r\n" + b"M" * 300_000, "x-uuencode"),
    "an encoding of 100 kB": lambda: encoded(b"x", "a" * 100_000),
    "utf-7": lambda: charset("utf-7", b"+" * 5000),
    "utf-16 that is not": lambda: charset("utf-16"),
    "idna": lambda: charset("idna", b"a" * 5000),
    "punycode": lambda: charset("punycode", b"a-" * 9000 + b"9" * 500),
    "a charset that compresses": lambda: charset("zip_codec"),
    "a charset that runs": lambda: charset("unicode_escape", rb"\N{DIGIT ONE}\x00" * 900),
    "a charset of 100 kB": lambda: charset("a" * 100_000),
    "NULs": lambda: mail(b"\0" * 300_000),
    "nothing": lambda: b"",
    "one blank": lambda: b" ",
    "bare returns": lambda: b"From: a@b.example\r\rx" + b"\r" * 300_000,
    "bidi in a name": lambda: header("From", "=?utf-8?q?=E2=80=AEmoc.knab?= <a@b.example>"),
    "C1 in a name": lambda: header("From", "=?iso-8859-1?q?=9b31m=85x?= <a@b.example>"),
}


def update(**content: Any) -> Unread:
    """A Telegram message with this in it."""
    known = {
        "message_id": 7,
        "date": 1_700_000_000,
        "chat": {"id": 42, "type": "private", "first_name": "Ada"},
        "from": {"id": 42, "is_bot": False, "first_name": "Ada"},
    }
    return Unread("update:1", json.dumps({"update_id": 1, "message": known | content}))


def entities(kind: str, number: int, length: int) -> list[dict[str, Any]]:
    return [{"type": kind, "offset": n % 4000, "length": length} for n in range(number)]


UPDATES: Final[Mapping[str, Callable[[], Unread]]] = {
    "900 kB of text": lambda: update(text="x" * 900_000),
    "100 overlapping entities": lambda: update(
        text="x" * 4096, entities=entities("bold", 100, 4096)
    ),
    "3,000 entities": lambda: update(text="x" * 4096, entities=entities("italic", 3000, 1)),
    "an entity beyond the end": lambda: update(text="x", entities=entities("bold", 1, 10**9)),
    "an entity before the start": lambda: update(
        text="x", entities=[{"type": "bold", "offset": -5, "length": -5}]
    ),
    "stars": lambda: update(text="*" * 4096),
    "brackets": lambda: update(text="![" * 2048),
    "bidi": lambda: update(text="\u202e" * 4096),
    "a poll of 5,000 options": lambda: update(
        poll={
            "id": "1",
            "question": "?",
            "options": [{"text": "x", "voter_count": 0, "persistent_id": "1"}] * 5000,
            "type": "regular",
        }
    ),
    "not JSON": lambda: Unread("update:1", "{"),
    "JSON of 100,000 brackets": lambda: Unread("update:1", "[" * 100_000),
    "JSON of 100,000 objects": lambda: Unread("update:1", '{"a":' * 100_000),
    "a number of 5,000 digits": lambda: Unread("update:1", '{"update_id": ' + "9" * 5000 + "}"),
    "a list": lambda: Unread("update:1", "[]"),
    "ids that are texts": lambda: update(message_id="7", text="x"),
    "a chat of null": lambda: update(chat=None, text="x"),
}

MARKDOWN: Final[Mapping[str, Callable[[], str]]] = {
    "75,000 pictures": lambda: "![" * 75_000,
    "nested emphasis": lambda: "*a " * 20_000,
    "nested quotations": lambda: ">" * 20_000 + "x",
    "nested lists": lambda: "".join(" " * n + "- x\n" for n in range(400)),
    "open links": lambda: "[a](" * 30_000,
    "backticks": lambda: "".join("`" * n + " " for n in range(400)),
    "entities": lambda: "&amp;" * 30_000,
    "a table": lambda: "|" * 2000 + "\n" + "-|" * 2000,
    "references": lambda: "[a]: <" * 20_000,
    "HTML that does not end": lambda: "<!--" * 30_000,
}
