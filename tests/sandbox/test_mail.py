"""The mail stand-in, driven by imap-tools and smtplib."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from smtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPRecipientsRefused,
    SMTPServerDisconnected,
)

import pytest
import requests
from imap_tools import AND, MailboxLoginError, MailBoxUnencrypted, MailMessage

from sandbox.faults import Fault, Kind
from sandbox.mail import MailStandIn

ANNA = "anna@customer.example"


@pytest.fixture
def mail() -> Iterator[MailStandIn]:
    with MailStandIn() as stand_in:
        yield stand_in


@contextmanager
def mailbox(mail: MailStandIn, password: str | None = None) -> Iterator[MailBoxUnencrypted]:
    box = MailBoxUnencrypted(mail.host, mail.imap_port, timeout=10)
    try:
        box.login(mail.user, password or mail.password)
        yield box
    finally:
        with suppress(OSError, box.client.abort):  # some tests break the connection
            box.logout()


@contextmanager
def submission(mail: MailStandIn) -> Iterator[SMTP]:
    with SMTP(mail.host, mail.smtp_port, timeout=10) as smtp:
        smtp.login(mail.user, mail.password)
        yield smtp


def reply(to: str = ANNA, text: str = "Hello Anna, grüß Gott") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Shop <support@shop.example>"
    message["To"] = to
    message["Subject"] = "Re: parcel"
    message["Message-ID"] = "<answer@shop.example>"
    message.set_content(text)
    return message


def fetched(box: MailBoxUnencrypted, criteria: str = "ALL") -> list[MailMessage]:
    return list(box.fetch(criteria, mark_seen=False))


def uid_validity(box: MailBoxUnencrypted) -> int:
    return int(box.folder.status("INBOX", ["UIDVALIDITY"])["UIDVALIDITY"])


def test_a_customers_mail_is_in_the_inbox(mail: MailStandIn) -> None:
    message_id = mail.customer_writes(ANNA, "Anna Köhler", "Wo?", "Mein Päckchen fehlt")
    with mailbox(mail) as box:
        (got,) = fetched(box)
    assert got.headers["message-id"] == (message_id,)
    assert got.from_values is not None
    assert (got.from_values.email, got.from_values.name) == (ANNA, "Anna Köhler")
    assert (got.subject, got.text.strip()) == ("Wo?", "Mein Päckchen fehlt")
    assert got.to == (mail.address,)
    assert "\\Seen" not in got.flags


def test_uids_grow_and_can_be_asked_for(mail: MailStandIn) -> None:
    for subject in ("one", "two", "three"):
        mail.customer_writes(ANNA, subject=subject)
    with mailbox(mail) as box:
        uids = [int(message.uid or 0) for message in fetched(box)]
        assert uids == sorted(set(uids))
        newer = fetched(box, f"UID {uids[1]}:*")
        assert [message.subject for message in newer] == ["two", "three"]
        assert box.folder.status("INBOX", ["UIDNEXT"])["UIDNEXT"] == uids[-1] + 1


def test_idle_wakes_for_a_mail(mail: MailStandIn) -> None:
    with mailbox(mail) as box, box.idle as idle:
        assert idle.poll(timeout=0.05) == []
        timer = threading.Timer(0.1, mail.customer_writes, (ANNA, "Anna", "awake"))
        timer.start()
        responses = idle.poll(timeout=10)
    timer.join()
    assert any(response.endswith(b"EXISTS") for response in responses)


def test_an_idle_client_never_sees_half_a_line(mail: MailStandIn) -> None:
    with mailbox(mail) as box:
        for _ in range(50):
            with box.idle as idle:
                mail.customer_writes(ANNA, "Anna", "again")
                assert idle.poll(timeout=10)


def test_flags_and_deletions_are_kept(mail: MailStandIn) -> None:
    for subject in ("seen", "deleted"):
        mail.customer_writes(ANNA, subject=subject)
    with mailbox(mail) as box:
        uids = {message.subject: message.uid or "" for message in fetched(box)}
        box.flag([uids["seen"]], ["\\Seen"], True)
        box.delete([uids["deleted"]])
    with mailbox(mail) as box:
        assert [message.subject for message in fetched(box)] == ["seen"]
        assert list(box.uids(AND(seen=True))) == [uids["seen"]]


def test_a_renumbered_mailbox_has_another_uidvalidity(mail: MailStandIn) -> None:
    mail.customer_writes(ANNA, subject="kept")
    with mailbox(mail) as box:
        before = uid_validity(box)
        mail.renumber()
        with pytest.raises((OSError, box.client.abort)):
            box.client.noop()
    with mailbox(mail) as box:
        assert uid_validity(box) != before
        assert [message.subject for message in fetched(box)] == ["kept"]


def test_a_mail_byte_for_byte(mail: MailStandIn) -> None:
    raw = b"From: x@y.example\r\nMessage-ID: <raw@y>\r\nSubject: =?l1?q?=FC?=\r\n\r\n\xff\xfe\r\n"
    assert mail.customer_writes("x@y.example", raw=raw) == "<raw@y>"
    with mailbox(mail) as box:
        _, answer = box.client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    assert answer[0][1] == raw


def test_the_gateways_mail_lands_with_the_customer(mail: MailStandIn) -> None:
    feed = mail.subscribe()
    with submission(mail) as smtp:
        smtp.send_message(reply())
    (got,) = mail.inbox_of(ANNA.upper())
    assert got.get_content().strip() == "Hello Anna, grüß Gott"
    assert got["Return-Path"] == "<support@shop.example>"
    event = feed.get(timeout=5)
    assert event == {
        "type": "mail",
        "to": ANNA,
        "from": "Shop <support@shop.example>",
        "subject": "Re: parcel",
        "message_id": "<answer@shop.example>",
    }
    assert mail.inbox_of("nobody@else.example") == []


def test_a_customers_answer_continues_the_thread(mail: MailStandIn) -> None:
    first = mail.customer_writes(ANNA, "Anna", "parcel", "where?")
    message = reply()
    message["In-Reply-To"] = message["References"] = first
    with submission(mail) as smtp:
        smtp.send_message(message)
    mail.customer_writes(ANNA, "Anna", "Re: parcel", "thanks", in_reply_to="<answer@shop.example>")
    answer = mail.inbox_of(mail.address)[-1]
    assert answer["In-Reply-To"] == "<answer@shop.example>"
    assert answer["References"].split() == [first, "<answer@shop.example>"]


def test_smtp_from_outside_reaches_only_the_support_mailbox(mail: MailStandIn) -> None:
    with SMTP(mail.host, mail.smtp_port, timeout=10) as smtp:
        smtp.sendmail(ANNA, mail.address, "Subject: by SMTP\r\n\r\nhi")
        with pytest.raises(SMTPRecipientsRefused) as caught:
            smtp.sendmail(ANNA, "bob@customer.example", "Subject: spam\r\n\r\nhi")
    assert caught.value.recipients["bob@customer.example"][0] == 530
    with mailbox(mail) as box:
        assert [message.subject for message in fetched(box)] == ["by SMTP"]


def test_wrong_passwords_are_refused(mail: MailStandIn) -> None:
    with pytest.raises(MailboxLoginError), mailbox(mail, "wrong"):
        pass
    with SMTP(mail.host, mail.smtp_port) as smtp, pytest.raises(SMTPAuthenticationError) as caught:
        smtp.login(mail.user, "wrong")
    assert caught.value.smtp_code == 535


def test_logins_refused_on_request(mail: MailStandIn) -> None:
    mail.refuse_logins(times=2)
    with pytest.raises(MailboxLoginError), mailbox(mail):
        pass
    with pytest.raises(SMTPAuthenticationError), submission(mail):
        pass
    with mailbox(mail), submission(mail):
        pass


@pytest.mark.parametrize("status", [451, 550])
def test_a_recipient_refused_on_request(mail: MailStandIn, status: int) -> None:
    mail.refuse_recipient(ANNA, status, "not today")
    with submission(mail) as smtp:
        with pytest.raises(SMTPRecipientsRefused) as caught:
            smtp.send_message(reply())
        assert caught.value.recipients[ANNA] == (status, b"not today")
        smtp.send_message(reply())
    assert len(mail.inbox_of(ANNA)) == 1


def test_a_mail_refused_after_data(mail: MailStandIn) -> None:
    mail.faults.add(Fault(Kind.STATUS, "DATA", status=554, body="5.7.1 looks like spam"))
    with submission(mail) as smtp, pytest.raises(SMTPDataError) as caught:
        smtp.send_message(reply())
    assert caught.value.smtp_code == 554


def test_a_connection_dropped_after_data(mail: MailStandIn) -> None:
    mail.drop_after_data()
    with pytest.raises(SMTPServerDisconnected), submission(mail) as smtp:
        smtp.send_message(reply())
    assert mail.inbox_of(ANNA) == []


def test_an_answer_lost_after_the_effect(mail: MailStandIn) -> None:
    mail.lose_answer_to_data()
    with pytest.raises(SMTPServerDisconnected), submission(mail) as smtp:
        smtp.send_message(reply())
    assert len(mail.inbox_of(ANNA)) == 1


def test_faults_by_http(mail: MailStandIn) -> None:
    fault = {"kind": "status", "method": "RCPT", "path": "*@customer.example", "status": 450}
    assert requests.post(f"{mail.url}/_faults", json=fault).ok
    with submission(mail) as smtp, pytest.raises(SMTPRecipientsRefused):
        smtp.send_message(reply())


def test_a_taken_port_is_told(mail: MailStandIn) -> None:
    with pytest.raises(OSError, match="address already in use"):
        MailStandIn(imap_port=mail.imap_port).start()


def test_it_must_run_to_take_mail() -> None:
    with pytest.raises(RuntimeError, match="call start"):
        MailStandIn().customer_writes(ANNA)


def test_a_stop_closes_both_servers(mail: MailStandIn) -> None:
    mail.customer_writes(ANNA, subject="kept")
    with mailbox(mail) as box:
        with suppress(box.client.abort), box.idle:
            mail.stop()
        for port in (mail.imap_port, mail.smtp_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((mail.host, port), timeout=5)
    mail.start()
    with mailbox(mail) as box:
        assert [message.subject for message in fetched(box)] == ["kept"]


def test_a_restart_remembers(tmp_path: Path) -> None:
    path = tmp_path / "mail.json"
    with MailStandIn(state_file=path) as first:
        for subject in ("one", "two"):
            first.customer_writes(ANNA, subject=subject)
        with submission(first) as smtp:
            smtp.send_message(reply())
        with mailbox(first) as box:
            box.delete([fetched(box)[1].uid or ""])
            before = (uid_validity(box), [message.uid for message in fetched(box)])
            following = box.folder.status("INBOX", ["UIDNEXT"])
    with MailStandIn(state_file=path) as second:
        assert second.password == first.password
        assert len(second.inbox_of(ANNA)) == 1
        with mailbox(second) as box:
            assert (uid_validity(box), [message.uid for message in fetched(box)]) == before
            assert box.folder.status("INBOX", ["UIDNEXT"]) == following
