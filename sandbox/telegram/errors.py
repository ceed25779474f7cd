"""How the Bot API says no. https://core.telegram.org/bots/api#making-requests"""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with `"ok": false`."""

    def __init__(self, code: int, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after
        """Seconds; only with 429. https://core.telegram.org/bots/api#responseparameters"""

    def answer(self) -> dict[str, object]:
        """The JSON of the answer."""
        body: dict[str, object] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        return body


def bad_request(what: str) -> Refused:
    return Refused(400, f"Bad Request: {what}")


def too_many_requests(seconds: int) -> Refused:
    return Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
