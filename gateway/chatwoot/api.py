"""Calls to a Chatwoot installation, and what its answers mean.

Chatwoot speaks two dialects of error: `{"error": …}`, and `{"message": …, "attributes": […]}` from
validations (`app/controllers/concerns/request_exception_handler.rb`); its login adds
`{"errors": […]}`.
Their texts are translated into the user's language, so nothing here decides by a text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

from pydantic import SecretStr

from gateway.chatwoot.errors import Invalid, Missing, NotAllowed
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.multipart import Form
from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Retry,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.http import Answer, Session, meaning
from gateway.storable import storable

T = TypeVar("T")
Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | list[Json] | None"
Special: TypeAlias = Callable[[Answer], DeliveryError | None]
"""The meaning that an answer has at one address only; None: what it means everywhere."""


class Api:
    """One installation's API with one user's token. Many threads may share it; retries nothing."""

    def __init__(self, url: str, token: SecretStr, *, deadline: float) -> None:
        self._url = url.rstrip("/")
        self._http = Session(deadline=deadline)
        self._ahead = 0.0
        self.has_answered = False
        # With dashes: nginx drops header names with underscores by default.
        self._headers = {"Api-Access-Token": token.get_secret_value(), "Accept": "application/json"}

    def close(self) -> None:
        self._http.close()

    def now(self) -> float:
        """Unix seconds by the clock of the installation, as its last answer told it; by our own
        while it has told nothing."""
        return time.time() + self._ahead

    def _exchange(self, method: str, url: str, **options: Any) -> Answer:
        answer = self._http.exchange(method, url, **options)
        self.has_answered = True
        with suppress(ValueError):  # it does not tell
            told = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
            ours = time.time()
            # It tells whole seconds.
            self._ahead = 0.0 if told <= ours < told + 1 else told - ours
        return answer

    def read(
        self, path: str, parse: Callable[[Fields], T], params: Mapping[str, str | int] | None = None
    ) -> T:
        """GET, and the answer as `parse` reads it."""
        answer = self._exchange("GET", self._url + path, headers=self._headers, params=params)
        return self._parse(answer, parse)

    def read_list(self, path: str, parse: Callable[[Fields], T]) -> tuple[T, ...]:
        """GET of an address that answers with a bare list; each item as `parse` reads it."""
        answer = self._exchange("GET", self._url + path, headers=self._headers)
        return self._interpret(
            answer,
            lambda content: tuple(
                parse(item) for item in Fields.of({"list": content}).objects("list")
            ),
        )

    def ask(self, path: str, body: Mapping[str, Json], parse: Callable[[Fields], T]) -> T:
        """A POST that changes nothing: whatever goes wrong, it can be asked again."""
        try:
            answer = self._exchange(
                "POST", self._url + path, headers=self._headers, json=storable_json(body)
            )
        except Uncertain as lost:
            raise Unreachable(lost.reason, detail=lost.detail) from lost
        return self._parse(replace(answer, method="GET"), parse)

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json],
        parse: Callable[[Fields], T],
        special: Special | None = None,
    ) -> T:
        """A call that changes something. Raises `Uncertain` if it may have done so unheard."""
        answer = self._exchange(
            method, self._url + path, headers=self._headers, json=storable_json(body)
        )
        return self._parse(answer, parse, special)

    def tell(self, method: str, path: str, body: Mapping[str, Json]) -> None:
        """As `write`, where the answer is of no use, or is not an object."""
        answer = self._exchange(
            method, self._url + path, headers=self._headers, json=storable_json(body)
        )
        if not 200 <= answer.status < 300:
            raise self._find_meaning(answer)

    def send_form(
        self,
        method: str,
        path: str,
        form: Form,
        parse: Callable[[Fields], T],
        special: Special | None = None,
        *,
        deadline: float,
    ) -> T:
        """As `write`, with files; `deadline` in seconds, for all of it."""
        headers = {**self._headers, "Content-Type": form.content_type}
        answer = self._exchange(
            method, self._url + path, headers=headers, data=form, deadline=deadline
        )
        return self._parse(answer, parse, special)

    def _parse(
        self, answer: Answer, parse: Callable[[Fields], T], special: Special | None = None
    ) -> T:
        return self._interpret(answer, lambda content: parse(Fields.of(content)), special)

    def _interpret(
        self, answer: Answer, parse: Callable[[object], T], special: Special | None = None
    ) -> T:
        if not 200 <= answer.status < 300:
            raise (special and special(answer)) or self._find_meaning(answer)
        try:
            return parse(json.loads(answer.body))
        except WrongShape as error:
            raise _nonsense(answer, str(error)) from error
        except (ValueError, RecursionError):
            raise _nonsense(answer, f"{len(answer.body)} bytes that are not JSON") from None

    def _find_meaning(self, answer: Answer) -> DeliveryError:
        if answer.status in {401, 402, 403}:
            return self._ask_why_denied(answer)
        if answer.status == 404:
            return _missing(answer)
        if answer.status == 406:  # a page of the dashboard, which is no JSON
            reason = "Chatwoot has no API here: correct its address, without /app and what follows"
            return Retry(reason, detail=_detail(answer))
        if answer.status == 422:
            return invalid_error(answer)
        if answer.status == 429:
            # Chatwoot's limiter (rack-attack) counts by the minute of the clock, sends no
            # Retry-After, and limits the address we call from.
            after = until_next_minute(answer) if answer.retry_after is None else answer.retry_after
            return Throttled(
                "Chatwoot limits the rate of calls", after=after, detail=_detail(answer)
            )
        return meaning(answer)

    def _ask_why_denied(self, answer: Answer) -> DeliveryError:
        """Chatwoot says 401 both for a dead token and for «you may not»: its profile tells."""
        profile = self._exchange("GET", self._url + "/api/v1/profile", headers=self._headers)
        if profile.status == 401:
            return BadCredentials(
                "Chatwoot rejects the access token: copy it from the profile settings of a user (a "
                "bot's token does not work)",
                detail=_detail(answer),
            )
        if not 200 <= profile.status < 300:
            return ServerTrouble("Chatwoot rejected a call, and cannot say why at the moment")
        if _is_page(answer):
            # A firewall before Chatwoot, which takes offence at this one: no rights will mend that.
            reason = "The web server in front of Chatwoot blocks the call"
            return ServerTrouble(reason, detail=f"{answer.method} {answer.status}: page")
        return NotAllowed(
            "Chatwoot does not allow this to the token's user: make the user an administrator of "
            "the account, or a member of the inbox, and make sure that the account is active",
            detail=_detail(answer),
        )


def storable_json(value: Json) -> Json:
    """`value` with all texts in it `storable`: names and labels come from the settings, too."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {key: storable_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable_json(item) for item in value]
    return value


def reason_in(answer: Answer) -> str:
    """What Chatwoot says went wrong, in either dialect and its own language; may be empty."""
    body = _body(answer)
    for text in (body.get("error"), body.get("message")):
        if isinstance(text, str):
            return text[:300]
    errors = body.get("errors")
    texts = errors if isinstance(errors, list) else []
    return ", ".join(text for text in texts if isinstance(text, str))[:300]


def refused_fields(answer: Answer) -> tuple[str, ...]:
    """The fields that a validation refused."""
    names = _body(answer).get("attributes")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def invalid_error(answer: Answer) -> Invalid:
    reason = f"Chatwoot does not accept this: {reason_in(answer) or 'no reason given'}"
    return Invalid(reason, attributes=refused_fields(answer), detail=_detail(answer))


def until_next_minute(answer: Answer) -> float:
    """Seconds until the server's clock begins a new minute; 60 if it does not tell its time."""
    try:
        return 60.0 - parsedate_to_datetime(answer.headers.get("Date", "")).second % 60
    except ValueError:
        return 60.0


def _nonsense(answer: Answer, what: str) -> DeliveryError:
    """Without the answer's text: profiles and inboxes hold tokens and signing keys."""
    return replace(answer, body=b"").nonsense(what)


def _missing(answer: Answer) -> DeliveryError:
    if _is_page(answer):
        # This is a proxy or another server speaking, not Chatwoot, and it will pass.
        return ServerTrouble(
            "Another server answers at Chatwoot's address", detail=f"{answer.method} 404: page"
        )
    return Missing("It does not exist in Chatwoot (any more)", detail=_detail(answer))


def _is_page(answer: Answer) -> bool:
    """Whether it is not Chatwoot that speaks."""
    return bool(answer.body.strip()) and not _body(answer)


def _body(answer: Answer) -> dict[str, object]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _detail(answer: Answer) -> str:
    return f"{answer.method} {answer.status}: {reason_in(answer)}"
