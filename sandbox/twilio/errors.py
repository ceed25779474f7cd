"""How Twilio says no. https://www.twilio.com/docs/api/errors"""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with an error of this number."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def answer(self) -> dict[str, object]:
        """The JSON of the answer."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def bad_request(code: int, message: str) -> Refused:
    return Refused(400, code, message)


def not_found(path: str) -> Refused:
    return Refused(404, 20404, f"The requested resource {path} was not found")
