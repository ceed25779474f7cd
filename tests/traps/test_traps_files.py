"""What catches those who carry files out of Chatwoot. The numbers are those of docs/TRAPS.md."""

from __future__ import annotations

from typing import Any

from gateway.chatwoot.fields import Fields
from gateway.chatwoot.files import LinkedFile, files_in
from gateway.model import FileLimits
from sandbox.chatwoot import Upload
from tests.relay.env import Env
from tests.relay.test_files_out import PNG, Parcels, Takes, parcels, takes, writes

__all__ = ["parcels", "takes"]

CAT = Upload("cat.png", "image/png", PNG)


def told(**attachment: Any) -> LinkedFile:
    [file] = files_in(Fields({"attachments": [{"id": 9, **attachment}]}))
    return file


def test_trap_13_a_redirect_is_followed_anew_at_each_attempt(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=4000, caption=100))
    env.chatwoot.delay_files(0.3)
    writes(env, "look", CAT)
    env.drain_until(lambda: parcels.parts)
    routes = {route: n for (_, route), n in env.chatwoot.requests.items() if "storage" in route}
    redirects = sum(n for route, n in routes.items() if "blobs/redirect" in route)
    downloads = sum(n for route, n in routes.items() if "disk" in route)
    assert redirects == downloads >= 2


def test_trap_14_a_file_that_is_stored_after_its_message_is_waited_for(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=4000, caption=100))
    env.chatwoot.delay_files(0.4)
    number = writes(env, "look", CAT)
    assert env.shown(number)["status"] == "sent"
    assert parcels.parts == []
    env.drain_until(lambda: parcels.parts)
    assert parcels.files == [[("cat.png", "image/png", PNG)]]


def test_trap_15_name_and_type_come_from_the_address_where_nothing_else_tells() -> None:
    url = "https://x.example/rails/active_storage/blobs/redirect/ey--sig/My%20caf%C3%A9.jpg"
    file = told(file_type="image", extension=None, data_url=url, thumb_url="", width=None)
    assert (file.name, file.content_type) == ("My café.jpg", "image/jpeg")


def test_trap_16_files_without_a_text_and_several_of_them_arrive(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=4000, caption=100))
    writes(env, None, CAT, CAT)
    writes(env, "", CAT)
    assert parcels.names == [["cat.png"], ["cat.png"], ["cat.png"]]
    writes(env, "**bold**\\\nnext", CAT)
    assert parcels.texts[-1] == "bold\nnext"


def test_trap_17_a_voice_note_is_audio_whatever_the_browser_recorded() -> None:
    url = "https://x.example/b/recording.webm"
    assert told(file_type="audio", data_url=url).content_type == "audio/webm"
    named = told(file_type="audio", data_url=url, content_type="video/webm")
    assert named.content_type == "audio/webm"
