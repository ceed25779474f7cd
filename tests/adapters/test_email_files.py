"""Files in mails: read from real MIME over real IMAP, sent over real SMTP."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from adapters.email import Email
from adapters.email.files import MOST_FILES, decode
from adapters.email.incoming import read_mail
from adapters.email.slimming import WHOLE, slimmed
from gateway import errors
from gateway.model import Attachment, File, Inbound, Part
from sandbox.mail import MailStandIn
from tests.adapters.email_kit import channel, mail, read
from tests.adapters.reading import polled

ANNA = "anna@customer.example"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300


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


def with_files() -> EmailMessage:
    """A picture within the text, a file, a text file, and a mail that was forwarded whole."""
    written = EmailMessage()
    written["From"], written["Subject"] = f"Anna <{ANNA}>", "Photos"
    written["Message-ID"] = "<files@customer.example>"
    written.set_content("Here they are")
    written.add_alternative('<p>Here they are</p><img src="cid:1">', subtype="html")
    written.get_payload()[1].add_related(PNG, "image", "png", cid="<1>")  # type: ignore[union-attr,index]
    written.add_attachment(b"%PDF", "application", "pdf", filename="Rechnung für Ärger.pdf")
    written.add_attachment("naïve\n", filename="notes.txt")
    forwarded = EmailMessage()
    forwarded["Subject"] = "Fwd / me"
    forwarded.set_content("inner text")
    written.add_attachment(forwarded)
    return written


def large(files: int) -> Iterator[bytes]:
    """A mail with so many files of 1.3 MB, and a text after them, as it comes in pieces."""
    head = b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="
    lines = b"A" * 76 + b"\r\n"
    yield mail(b"--b\r\n\r\nHere they are\r\n", Content_Type="multipart/mixed; boundary=b")
    for number in range(files):
        yield head + b"%d.pdf\r\n\r\n" % number
        yield lines * (1_300_000 // len(lines))
    yield b"--b\r\nContent-Type: text/plain\r\n\r\nThat was all\r\n--b--\r\n"


def taken(provider: MailStandIn, mailbox: Email, raw: bytes) -> Inbound:
    start = polled(mailbox, None).cursor
    provider.customer_writes(ANNA, raw=raw)
    (item,) = polled(mailbox, start).items
    assert isinstance(item, Inbound)
    return item


def test_every_file_of_a_mail_can_be_opened(provider: MailStandIn, mailbox: Email) -> None:
    inbound = taken(provider, mailbox, bytes(with_files()))
    assert inbound.text == "Here they are"
    opened = {each.name: b"".join(mailbox.open(each)) for each in inbound.attachments}
    kinds = [each.content_type for each in inbound.attachments]
    assert kinds == ["image/png", "application/pdf", "text/plain", "message/rfc822"]
    assert opened["attachment.png"] == PNG
    assert opened["Rechnung für Ärger.pdf"] == b"%PDF"
    assert opened["notes.txt"].decode().strip() == "naïve"
    assert b"inner text" in opened["Fwd   me.eml"]
    sizes = [each.size for each in inbound.attachments]
    assert sizes[:2] == [len(PNG), 4]


def test_a_mail_that_is_nothing_but_a_file(provider: MailStandIn, mailbox: Email) -> None:
    written = EmailMessage()
    written["From"], written["Message-ID"] = ANNA, "<scan@customer.example>"
    written.set_content(b"%PDF scan", "application", "pdf", filename="scan.pdf")
    inbound = taken(provider, mailbox, bytes(written))
    assert inbound.text == ""
    (attachment,) = inbound.attachments
    assert b"".join(mailbox.open(attachment)) == b"%PDF scan"


def test_opening_leaves_the_mail_unread_and_the_poll_alone(
    provider: MailStandIn, mailbox: Email
) -> None:
    start = polled(mailbox, None).cursor
    provider.customer_writes(ANNA, raw=bytes(with_files()))
    batch = polled(mailbox, start)
    assert isinstance(batch.items[0], Inbound)
    list(mailbox.open(batch.items[0].attachments[0]))
    assert polled(mailbox, batch.cursor).items == ()
    assert polled(mailbox, start).items == batch.items


def test_a_mail_that_was_moved_has_no_files(provider: MailStandIn, mailbox: Email) -> None:
    inbound = taken(provider, mailbox, bytes(with_files()))
    validity, _, rest = inbound.attachments[0].id.split(":", 2)
    for gone in (f"{validity}:999:{rest}", f"{validity}:1:9.9:"):
        with pytest.raises(errors.Permanent, match="moved or deleted"):
            list(mailbox.open(Attachment(gone)))
    provider.renumber()
    with pytest.raises(errors.Permanent, match="moved or deleted"):
        list(mailbox.open(inbound.attachments[0]))


def test_a_mailbox_that_is_away_is_asked_again_later(provider: MailStandIn, mailbox: Email) -> None:
    inbound = taken(provider, mailbox, bytes(with_files()))
    provider.stop()
    with pytest.raises(errors.Unreachable):
        list(mailbox.open(inbound.attachments[0]))
    provider.start()


def attached(name: str, kind: str = "application/pdf") -> Attachment:
    """The file of a mail with this Content-Disposition parameter."""
    headers = f"Content-Type: {kind}\r\nContent-Disposition: attachment; {name}\r\n\r\nx\r\n"
    body = f"--b\r\n{headers}--b--\r\n"
    (found,) = read(mail(body, Content_Type="multipart/mixed; boundary=b")).attachments
    return found


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("filename=a.pdf", "a.pdf"),
        ("filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf", "Grüße.pdf"),
        ("filename*0=Ge; filename*1=samt.pdf", "Gesamt.pdf"),
        ('filename="=?UTF-8?Q?Gr=C3=BC=C3=9Fe.pdf?="', "Grüße.pdf"),
        ('filename="../../etc/passwd"', "passwd"),
        (r'filename="C:\\Users\\anna\\a.pdf"', "a.pdf"),
        ('filename=".."', "attachment.pdf"),
        ("filename*=UTF-8''a%00%0Ab.pdf", "a b.pdf"),
        ("filename*=nonsense''%FF%FE", "ÿþ"),
        ("x=1", "attachment.pdf"),
    ],
)
def test_a_files_name_is_read_and_is_never_a_path(told: str, name: str) -> None:
    assert attached(told).name == name


def test_a_mail_of_very_many_files_says_how_many_stay() -> None:
    parts = "--b\r\nContent-Type: image/png\r\n\r\nx\r\n" * (MOST_FILES + 2)
    inbound = read(mail(f"{parts}--b--\r\n", Content_Type="multipart/mixed; boundary=b"))
    assert len(inbound.attachments) == MOST_FILES
    assert "2 more files" in inbound.text


@pytest.mark.parametrize(
    ("content", "encoding", "data"),
    [
        (b"YWJj\r\nZGU=\r\n", "base64", b"abcde"),
        (b"YWJj\r\nZGU", "base64", b"abcde"),
        (b"a=3Db=\r\nc", "quoted-printable", b"a=bc"),
        (b"\x00raw", "8bit", b"\x00raw"),
        (b"raw", "x-unheard-of", b"raw"),
    ],
)
def test_encodings(content: bytes, encoding: str, data: bytes) -> None:
    assert decode(content, encoding) == data


# ---- sending


def a_file(folder: Path, name: str, content_type: str, content: bytes = PNG) -> File:
    path = folder / f"{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return File(name, content_type, len(content), path)


def files_in(mail: EmailMessage) -> list[tuple[str | None, str, object]]:
    return [
        (each.get_filename(), each.get_content_type(), each.get_payload(decode=True))
        for each in mail.iter_attachments()
    ]


def test_files_arrive_in_one_mail_with_the_text(
    provider: MailStandIn, mailbox: Email, tmp_path: Path
) -> None:
    files = (
        a_file(tmp_path, "cat.png", "image/png"),
        a_file(tmp_path, "Übersicht (1).pdf", "application/pdf", b"%PDF"),
        a_file(tmp_path, "old.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),
        a_file(tmp_path, "odd", "no type at all", b"?"),
    )
    sent = mailbox.send(Part("9:1", ANNA, "Grüße, see below", files=files))
    (got,) = provider.inbox_of(ANNA)
    body = got.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Grüße, see below"
    octets = "application/octet-stream"
    assert files_in(got) == [
        ("cat.png", "image/png", PNG),
        ("Übersicht (1).pdf", "application/pdf", b"%PDF"),
        ("old.eml", octets, b"Subject: x\r\n\r\ny"),
        ("odd", octets, b"?"),
    ]
    assert sent.external_id == got["Message-ID"]


def test_a_file_without_text(provider: MailStandIn, mailbox: Email, tmp_path: Path) -> None:
    mailbox.send(Part("9:1", ANNA, "", files=(a_file(tmp_path, "cat.png", "image/png"),)))
    (got,) = provider.inbox_of(ANNA)
    assert files_in(got) == [("cat.png", "image/png", PNG)]


def test_a_name_cannot_add_a_header(provider: MailStandIn, mailbox: Email, tmp_path: Path) -> None:
    evil = a_file(tmp_path, 'a"\r\nBcc: eve@evil.example\r\n.png', "image/png")
    mailbox.send(Part("9:1", ANNA, "x", files=(evil,)))
    (got,) = provider.inbox_of(ANNA)
    assert "eve@evil.example" not in str(got.get("Bcc", ""))
    assert all("Bcc" not in each for each in got.iter_attachments())


def test_files_too_large_together_are_refused_before_anything_is_read(mailbox: Email) -> None:
    large = File("a.bin", "application/octet-stream", 10_000_000, Path("/nowhere"))
    with pytest.raises(errors.Permanent, match="one by one"):
        mailbox.send(Part("9:1", ANNA, "", files=(large, large)))


def test_of_a_mail_with_many_large_files_none_is_lost() -> None:
    slim = slimmed(large(MOST_FILES))
    assert len(slim.content) < WHOLE
    found = read_mail("support@shop.example", slim.content, is_whole=slim.is_whole)
    assert found is not None
    assert [file.name for file in found.attachments] == [f"{n}.pdf" for n in range(MOST_FILES)]
    assert found.text == "Here they are\n\nThat was all"
