"""What the gateway's own commands say and do in this Chatwoot."""

from __future__ import annotations

import requests

from live.checks import Check
from live.scene import CHANNEL_NAMES, Scene
from live.waiting import expect


def _inboxes_exist(scene: Scene) -> None:
    there = {int(each["id"]): each for each in scene.desk.inboxes()}
    for channel in CHANNEL_NAMES:
        inbox = there.get(scene.wiring.inboxes[channel])
        expect(inbox is not None and inbox["channel_type"] == "Channel::Api", inbox)


def _addresses_fit(scene: Scene) -> None:
    wants_webhooks = scene.options.events == "webhook"
    there = {int(each["id"]): each for each in scene.desk.inboxes()}
    for channel in CHANNEL_NAMES:
        address = there[scene.wiring.inboxes[channel]]["webhook_url"] or ""
        if wants_webhooks:
            wanted = scene.wiring.settings.chatwoot_url(scene.wiring.settings.channels[channel])
            expect(address == wanted, address)
        else:
            expect(address == "", address)


def _setup_twice(scene: Scene) -> None:
    _, again = scene.setup_said
    expect("created" not in again.lower(), again)
    expect("Write in" not in again, again)


def _check_passes(scene: Scene) -> None:
    done = scene.command("check")
    expect(done.returncode == 0, done.stdout + done.stderr)


def _doctor_is_content(scene: Scene) -> None:
    done = scene.command("doctor")
    expect(done.returncode == 0, done.stdout + done.stderr)


def _channels_are_listed(scene: Scene) -> None:
    done = scene.command("channels")
    expect(all(name in done.stdout for name in CHANNEL_NAMES), done.stdout + done.stderr)


def _is_ready(scene: Scene) -> None:
    answer = requests.get(f"{scene.gateway.url}/readyz", timeout=10)
    expect(answer.ok, answer.text)


def _metrics_need_a_password(scene: Scene) -> None:
    url = f"{scene.gateway.url}/metrics"
    expect(requests.get(url, timeout=10).status_code in {401, 403}, "metrics without a password")
    bearer = {"Authorization": f"Bearer {scene.wiring.settings.admin_token}"}
    told = requests.get(url, headers=bearer, timeout=10)
    expect(told.ok and "gateway_" in told.text, told.text[:200])


CHECKS = (
    Check("setup makes an API inbox for each channel", _inboxes_exist),
    Check("setup gives the inboxes the addresses that fit the way of events", _addresses_fit),
    Check("setup changes nothing the second time", _setup_twice),
    Check("check accepts the settings that setup asked for", _check_passes),
    Check("doctor finds nothing wrong", _doctor_is_content),
    Check("channels lists all three", _channels_are_listed),
    Check("readyz says that webhooks are taken", _is_ready),
    Check("metrics are told to who has the password only", _metrics_need_a_password),
)
