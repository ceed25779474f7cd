"""How Chatwoot says no: two dialects for what the client got wrong, one for its own faults.

Sources in Chatwoot: app/controllers/concerns/request_exception_handler.rb,
access_token_auth_helper.rb, ensure_current_account_helper.rb.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class NotFound(Refusal):
    """The account, inbox, contact, conversation or message is not there."""

    def __init__(self) -> None:
        super().__init__(404, {"error": "Resource could not be found"})


class Unauthorized(Refusal):
    """No token, a wrong token, or (also 401, not 403) a role that may not."""

    def __init__(self, text: str = "You are not authorized to do this action") -> None:
        super().__init__(401, {"error": text})


class Unprocessable(Refusal):
    """The dialect of a controller: `error`."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(status, {"error": text})


class RecordInvalid(Refusal):
    """The dialect of a failed model validation: `message` and `attributes`."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        self.text = ", ".join(text for _, text in problems)
        attributes = list(dict.fromkeys(attribute for attribute, _ in problems))
        super().__init__(422, {"message": self.text, "attributes": attributes})


class ServerError(Refusal):
    """Rails' answer to an error that no controller rescues: a taken unique index, a bad enum."""

    def __init__(self) -> None:
        super().__init__(500, {"status": 500, "error": "Internal Server Error"})
