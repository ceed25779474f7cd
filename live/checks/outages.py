"""Processes killed, and the whole gateway away: these checks have the gateway for themselves."""

from __future__ import annotations

from collections.abc import Callable

from live.checks import Check
from live.checks.contacts import TO_A_PHONE_THAT_IS_OFF
from live.people import Person
from live.scene import CHANNEL_NAMES, Scene
from live.waiting import Wrong, expect, wait_for

LINES = 6


def _begun(scene: Scene, channel: str) -> tuple[Person, int]:
    ada = scene.newcomers.on(channel)
    ada.writes("Before the outage")
    number, _ = ada.shown("Before the outage")
    return ada, number


def _kill(role: str) -> Callable[[Scene], None]:
    def look(scene: Scene) -> None:
        ada, number = _begun(scene, "telegram")
        for line in range(LINES):
            ada.writes(f"in {line}")
            scene.desk.reply(number, f"out {line}")
            if line == LINES // 2:
                wait_for(lambda: scene.gateway.kill(role), f"a running {role}")
        ada.shown(f"in {LINES - 1}")
        ada.gets(f"out {LINES - 1}", seconds=90)
        _expect_all_once(ada, number)
        if role != "web":  # a webhook that the kill cut off is found after younger ones have left
            out = [each["text"] for each in ada.has()]
            expect(out == sorted(out), out)

    return look


def _expect_all_once(ada: Person, number: int) -> None:
    wait_for(lambda: len(ada.has()) >= LINES, "every reply")
    out = sorted(each["text"] for each in ada.has())
    expect(out == [f"out {line}" for line in range(LINES)], out)
    came = [text for text in ada.texts(number) if text.startswith("in ")]
    expect(came == [f"in {line}" for line in range(LINES)], came)


def _away(scene: Scene) -> None:
    people = {channel: _begun(scene, channel) for channel in CHANNEL_NAMES}
    scene.gateway.stop()
    for ada, number in people.values():
        for line in range(3):
            ada.writes(f"while away {line}")
            scene.desk.reply(number, f"answer while away {line}")
    scene.restart()
    for channel, (ada, _) in people.items():
        for line in range(3):  # mails come side by side: the last may be there first
            ada.shown(f"while away {line}")
        ada.gets("answer while away 2", seconds=90)
        out = [text["text"].split("\n")[0] for text in ada.has()]
        expect(out == [f"answer while away {line}" for line in range(3)], (channel, out))
        said = [text for each in ada.conversations() for text in ada.texts(int(each["id"]))]
        came = [text.partition("while away ")[2][:1] for text in said if "while away" in text]
        # A mail that answers none begins a conversation of its own: they come side by side.
        in_order = sorted(came) if channel == "email" else came
        expect(in_order == ["0", "1", "2"], (channel, said))


def _nothing_red(scene: Scene) -> None:
    """Nor was, but for a moment."""

    def red() -> list[str]:
        return [
            f"{message['content']}: {message['content_attributes'].get('external_error')}"
            for inbox in scene.wiring.inboxes.values()
            for conversation in scene.desk.conversations_in(inbox)
            for message in scene.desk.messages(int(conversation["id"]))
            if message["status"] == "failed" and message["content"] != TO_A_PHONE_THAT_IS_OFF
        ]

    try:
        wait_for(lambda: not red(), "nothing in red", seconds=90)
    except Wrong as error:
        raise Wrong(f"in red: {red()[:3]}") from error


def _log_has_no_secrets(scene: Scene) -> None:
    log = scene.gateway.log.read_text(encoding="utf-8")
    shown = [name for name, value in scene.wiring.environ.items() if value in log]
    expect(not shown, shown)


def _no_fault_in_the_log(scene: Scene) -> None:
    log = scene.gateway.log.read_text(encoding="utf-8")
    faults = [line for line in log.splitlines() if "Traceback" in line or "_crashed" in line]
    expect(not faults, faults[:3])


CHECKS = (
    Check("a killed worker loses, doubles and reorders nothing", _kill("worker")),
    Check("a killed web process loses and doubles nothing", _kill("web")),
    Check("a killed clock loses, doubles and reorders nothing", _kill("clock")),
    Check("what was said while the gateway was away is in and out, in order", _away),
    Check("nothing is red that the network did not refuse", _nothing_red),
    Check("the log shows no secret", _log_has_no_secrets),
    Check("the log shows no fault in the code", _no_fault_in_the_log),
)
