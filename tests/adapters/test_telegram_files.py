"""Files over Telegram's stand-in, both ways, and what is said of those that cannot pass."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from telegram import PhotoSize

from adapters.telegram import Telegram
from adapters.telegram.files import portrait_of
from gateway import errors
from gateway.adapter import SecretStr, Site
from gateway.model import Attachment, File, Inbound, Part, Place, Span, Style
from gateway.observability.logs import CHATTY
from gateway.runtime import Runtime
from sandbox.faults import Fault, Kind
from sandbox.telegram import TelegramStandIn
from sandbox.telegram.files import Upload, file_in
from tests.adapters.reading import polled

WEBHOOK = "https://gw.example/channels/bot/webhook"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as stand_in:
        stand_in.greet(42, first_name="Ada")
        yield stand_in


@pytest.fixture
def bot(telegram: TelegramStandIn) -> Iterator[Telegram]:
    runtime = Runtime()
    settings: dict[str, Any] = {"adapter": "telegram", "inbox": 1, "mode": "polling"}
    config = Telegram.Config(**settings, token=SecretStr(telegram.token), api_url=telegram.url)
    adapter = Telegram(config, Site("bot", WEBHOOK, "webhookSecret123", runtime))
    yield adapter
    adapter.close()
    runtime.close()


def came(bot: Telegram) -> Inbound:
    (item,) = polled(bot, None).items
    assert isinstance(item, Inbound)
    return item


def test_the_newest_profile_photo_is_the_portrait(bot: Telegram, telegram: TelegramStandIn) -> None:
    assert bot.portrait(Place("42")) is None
    telegram.customer_shows(42, Upload(b"\xff\xd8\xffold", "", "image/jpeg"))
    first = bot.portrait(Place("42"))
    telegram.customer_shows(42, Upload(JPEG, "", "image/jpeg"))
    second, again = bot.portrait(Place("42")), bot.portrait(Place("42"))
    assert first is not None
    assert second is not None
    assert second == again
    assert first.version != second.version
    assert b"".join(bot.open(second.picture)) == JPEG, "the large one"
    assert (second.picture.name, second.picture.content_type) == ("portrait.jpg", "image/jpeg")
    telegram.customer_shows(42, None)
    assert bot.portrait(Place("42")) is None


def test_a_portrait_is_not_larger_than_it_is_shown() -> None:
    sizes = [PhotoSize(f"f{n}", f"u{n}", n, n) for n in (160, 320, 640, 1280)]
    assert portrait_of(sizes).version == "u640"
    assert portrait_of(sizes[3:]).version == "u1280"


@pytest.mark.parametrize(
    "photos", [None, 7, [[]], [[None]], [[{}]], [[{"file_id": "f", "file_unique_id": "u"}]]]
)
def test_photos_of_another_shape_are_no_fault_of_ours(
    bot: Telegram, telegram: TelegramStandIn, photos: Any
) -> None:
    body = json.dumps({"ok": True, "result": {"total_count": 1, "photos": photos}})
    telegram.faults.add(
        Fault(Kind.STATUS, path="/bot*/getUserProfilePhotos", status=200, body=body)
    )
    with pytest.raises(errors.DeliveryError):
        bot.portrait(Place("42"))


@pytest.mark.parametrize("peer", ["7", "nobody"])
def test_of_a_stranger_there_is_no_portrait(bot: Telegram, peer: str) -> None:
    with pytest.raises(errors.DeliveryError):
        bot.portrait(Place(peer))


def a_file(folder: Path, name: str, content_type: str, content: bytes = JPEG) -> File:
    path = folder / "0"
    path.write_bytes(content)
    return File(name, content_type, len(content), path)


@pytest.mark.parametrize(
    ("kind", "upload", "name"),
    [
        ("photo", Upload(JPEG, "", "image/jpeg"), "photo.jpg"),
        ("document", Upload(JPEG, "Rechnung ä.pdf", "application/pdf"), "Rechnung ä.pdf"),
        ("voice", Upload(JPEG, "", "audio/ogg"), "voice.ogg"),
        ("audio", Upload(JPEG, "song.mp3", "audio/mpeg"), "song.mp3"),
        ("video", Upload(JPEG, "", "video/mp4"), "video.mp4"),
        ("video_note", Upload(JPEG, "", "video/mp4"), "video-note.mp4"),
        ("animation", Upload(JPEG, "", "video/mp4"), "animation.mp4"),
        ("sticker", Upload(JPEG, "", "image/webp"), "sticker.webp"),
    ],
)
def test_what_a_customer_sends_can_be_opened(
    telegram: TelegramStandIn, bot: Telegram, kind: str, upload: Upload, name: str
) -> None:
    telegram.customer_sends_file(42, upload, kind=kind, caption="See")
    inbound = came(bot)
    (attachment,) = inbound.attachments
    assert inbound.text == "See"
    assert (attachment.name, attachment.content_type) == (name, upload.content_type)
    assert attachment.size == len(JPEG)
    assert b"".join(bot.open(attachment)) == JPEG


def test_a_sticker_tells_its_emoji(telegram: TelegramStandIn, bot: Telegram) -> None:
    telegram.customer_sends_file(42, Upload(b"webp"), kind="sticker")
    assert came(bot).text == "👍"


def test_a_file_larger_than_telegram_gives_to_bots(
    telegram: TelegramStandIn, bot: Telegram
) -> None:
    telegram.customer_sends_file(42, Upload(bytes(20_000_001), "film.mkv"))
    (attachment,) = came(bot).attachments
    with pytest.raises(errors.Permanent, match="20 MB"):
        list(bot.open(attachment))
    with pytest.raises(errors.Permanent, match="too big"):  # the size was not told
        list(bot.open(Attachment(attachment.id)))


def test_the_token_is_in_no_log_nor_error(
    telegram: TelegramStandIn, bot: Telegram, caplog: pytest.LogCaptureFixture
) -> None:
    """The address of a file holds it."""
    caplog.set_level(logging.DEBUG)
    for name in CHATTY:
        caplog.set_level(logging.WARNING, name)
    telegram.customer_sends_file(42, Upload(JPEG, "a.pdf"))
    (attachment,) = came(bot).attachments
    seen = []
    echo = f"no /file/bot{telegram.token}/documents/file_0.pdf"
    for status in (302, 400, 401, 404, 429, 500, 502):
        telegram.faults.add(Fault(Kind.STATUS, path="/file/bot*", status=status, body=echo))
        with pytest.raises(errors.DeliveryError) as caught:
            list(bot.open(attachment))
        error = caught.value
        seen += [error.reason, error.detail, *traceback.format_exception(error)]
    telegram.faults.add(Fault(Kind.DROP, path="/file/bot*"))
    with pytest.raises(errors.Retry) as broken:
        list(bot.open(attachment))
    seen += [broken.value.reason, broken.value.detail, *traceback.format_exception(broken.value)]
    assert telegram.token not in "\n".join([*seen, caplog.text])


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/jpeg", "photo"),
        ("image/gif", "animation"),
        ("audio/ogg; codecs=opus", "voice"),
        ("audio/mpeg", "audio"),
        ("video/mp4", "video"),
        ("image/svg+xml", "document"),
        ("application/pdf", "document"),
    ],
)
def test_a_file_goes_as_what_it_is(
    telegram: TelegramStandIn, bot: Telegram, tmp_path: Path, content_type: str, kind: str
) -> None:
    file = a_file(tmp_path, "ä file", content_type)
    spans = (Span(Style.BOLD, 0, 4),)
    sent = bot.send(Part("p", "42", "Look here", spans, (file,)))
    message = telegram.messages(42)[-1]
    found = file_in(message)
    assert found is not None
    assert found[0] == kind
    assert telegram.files.find(found[1]).content == JPEG
    assert (message["caption"], message["caption_entities"][0]["type"]) == ("Look here", "bold")
    assert sent.external_id == f"42:{message['message_id']}"


def test_a_name_outside_ascii_arrives(
    telegram: TelegramStandIn, bot: Telegram, tmp_path: Path
) -> None:
    bot.send(Part("p", "42", "", files=(a_file(tmp_path, "Übersicht.pdf", "application/pdf"),)))
    assert telegram.messages(42)[-1]["document"]["file_name"] == "Übersicht.pdf"
    assert "caption" not in telegram.messages(42)[-1]


def test_a_large_picture_goes_as_a_document(
    telegram: TelegramStandIn, bot: Telegram, tmp_path: Path
) -> None:
    large = a_file(tmp_path, "a.jpg", "image/jpeg", JPEG + bytes(10_000_000))
    bot.send(Part("p", "42", "", files=(large,)))
    assert "document" in telegram.messages(42)[-1]


@pytest.mark.parametrize(
    ("content_type", "refusal"),
    [
        ("image/png", ("sendPhoto", "Bad Request: PHOTO_INVALID_DIMENSIONS")),
        ("audio/ogg", ("sendVoice", "Bad Request: VOICE_MESSAGES_FORBIDDEN")),
    ],
)
def test_what_is_refused_as_its_kind_goes_as_a_document(
    telegram: TelegramStandIn, bot: Telegram, tmp_path: Path, content_type: str,
    refusal: tuple[str, str],
) -> None:  # fmt: skip
    method, said = refusal
    telegram.refuse(400, said, method=method)
    bot.send(Part("p", "42", "Look", files=(a_file(tmp_path, "a", content_type),)))
    (message,) = telegram.messages(42)
    assert message["document"]["file_size"] == len(JPEG)
    assert message["caption"] == "Look"


def test_what_is_no_picture_goes_as_a_document(
    telegram: TelegramStandIn, bot: Telegram, tmp_path: Path
) -> None:
    bot.send(Part("p", "42", "", files=(a_file(tmp_path, "a.png", "image/png", b"no picture"),)))
    assert "document" in telegram.messages(42)[-1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"location": {"latitude": 52.5, "longitude": 13.4}},
            "📍 https://www.openstreetmap.org/?mlat=52.5&mlon=13.4",
        ),
        (
            {
                "location": {"latitude": 1.5, "longitude": 2.5},
                "venue": {
                    "location": {"latitude": 1.5, "longitude": 2.5},
                    "title": "Café",
                    "address": "Main St 1",
                },
            },
            "📍 Café, Main St 1: https://www.openstreetmap.org/?mlat=1.5&mlon=2.5",
        ),
        (
            {"contact": {"phone_number": "+1555", "first_name": "Ada", "last_name": "L"}},
            "👤 Ada L, +1555",
        ),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        (
            {"story": {"id": 1, "chat": {"id": 42, "type": "private"}}},
            "[A Telegram message that cannot be shown here: story]",
        ),
        (
            {"hologram": {"id": 1}},
            "[A Telegram message that cannot be shown here: hologram]",
        ),
    ],
)
def test_other_kinds_are_told_of(
    telegram: TelegramStandIn, bot: Telegram, content: dict[str, Any], line: str
) -> None:
    telegram.customer_sends(42, content)
    assert came(bot).text == line


def test_a_poll_is_told_with_its_options(telegram: TelegramStandIn, bot: Telegram) -> None:
    options = [{"text": text, "voter_count": 0, "persistent_id": text} for text in ("Yes", "No")]
    poll = {
        "id": "1", "question": "Now?", "options": options, "total_voter_count": 0,
        "is_closed": False, "is_anonymous": True, "type": "regular",
        "allows_multiple_answers": False, "allows_revoting": True, "members_only": False,
    }  # fmt: skip
    telegram.customer_sends(42, {"poll": poll})
    assert came(bot).text == "📊 Now?\n- Yes\n- No"


def test_what_telegram_itself_reports_is_no_message(
    telegram: TelegramStandIn, bot: Telegram
) -> None:
    telegram.customer_sends(
        42, {"message_auto_delete_timer_changed": {"message_auto_delete_time": 60}}
    )
    assert polled(bot, None).items == ()
