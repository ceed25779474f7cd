"""Takes the tour of the stand-in."""

from __future__ import annotations

from typing import Any

import requests

from sandbox.chatwoot import ChatwootStandIn
from tests.chatwoot_tour.itinerary import ITINERARY
from tests.chatwoot_tour.steps import NOBODY, STRANGER, Step
from tests.chatwoot_tour.visits import Visit, Webhook, filled, filled_path, place_in
from tests.sandbox.chatwoot_parties import Delivery, Receiver

_HOOKS = ("inbox", "account", "other", "bot")
_HEADERS = ("accept", "content-type", "user-agent")


def tour(version: str) -> list[Visit]:
    """What came of each step at the stand-in that plays this release."""
    receiver = Receiver()
    receiver.server.start()
    try:
        with ChatwootStandIn(version=version) as chatwoot, requests.Session() as session:
            chatwoot.webhooks.spread = 0.0
            traveller = _Traveller(chatwoot, receiver, session)
            return [traveller.visit(step) for step in ITINERARY]
    finally:
        receiver.server.stop()


class _Traveller:
    def __init__(
        self, chatwoot: ChatwootStandIn, receiver: Receiver, session: requests.Session
    ) -> None:
        self._chatwoot = chatwoot
        self._receiver = receiver
        self._session = session
        self._kept: dict[str, Any] = {
            "account": 1,
            "bob": chatwoot.agent.id,
            "token of administrator": chatwoot.administrator.token,
            "token of agent": chatwoot.agent.token,
            f"token of {STRANGER}": "nonsense",
        }
        self._kept |= {f"{name}_hook": f"{receiver.server.url}/{name}" for name in _HOOKS}

    def visit(self, step: Step) -> Visit:
        self._receiver.forget()
        self._receiver.status = step.receiver_answers
        answer = self._ask(step)
        assert self._chatwoot.wait_for_webhooks(20), step.title
        body = _json(answer)
        webhooks = tuple(_webhook(each) for each in self._receiver.deliveries())
        if answer.ok:
            self._keep(step, body, webhooks)
        if step.only:
            body = [each for each in body["payload"] if each["content"] == step.only]
        return Visit(step.title, answer.status_code, body, webhooks)

    def _ask(self, step: Step) -> requests.Response:
        headers = {}
        if step.who != NOBODY:
            headers["api_access_token"] = str(self._kept[f"token of {step.who}"])
        body = filled(step.body, self._kept)
        files = [(file.field, (file.name, file.data, file.kind)) for file in step.files]
        return self._session.request(
            step.method,
            self._chatwoot.url + filled_path(step.path, self._kept),
            headers=headers,
            json=None if files else body,
            data=body if files else None,
            files=files,
            timeout=20,
        )

    def _keep(self, step: Step, body: Any, webhooks: tuple[Webhook, ...]) -> None:
        for name, path in step.keep.items():
            self._kept[name] = place_in(body, path)
        for name, content_type in step.keep_told.items():
            told = [each.body for each in webhooks if each.event == "message_created"]
            self._kept[name] = next(
                each["id"] for each in told if each["content_type"] == content_type
            )


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _webhook(delivery: Delivery) -> Webhook:
    headers = {
        name: value
        for name, value in delivery.headers.items()
        if name in _HEADERS or name.startswith("x-chatwoot")
    }
    return Webhook(delivery.path, headers, delivery.body)
