"""The connection to Chatwoot's event stream, the one that its dashboard keeps open (`/cable`).

It speaks Rails' ActionCable over a WebSocket: after a welcome we subscribe, once, and are told what
happens. Chatwoot never refuses a wrong token: it only does not confirm the subscription. We send
nothing else. Above all no `update_presence`, which would show the token's user as online.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import SecretStr
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from gateway.chatwoot.fields import Fields, WrongShape
from gateway.errors import BadCredentials, DeliveryError, ServerTrouble, Unreachable

PROTOCOL: Final = Subprotocol("actioncable-v1-json")
SILENCE: Final = 10.0
"""Seconds without a frame after which the connection is broken: a ping comes every three."""
CONFIRMED_WITHIN: Final = 10.0
"""Seconds in which the subscription is confirmed, or never."""
LARGEST_FRAME: Final = 16 * 1024 * 1024
"""Bytes. The longest message stands in a frame twice, or three times."""
FAREWELL: Final = 1.0
"""Seconds for closing a connection: nobody needs an answer to that."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What we ask to be told, and as whom."""

    account: int
    user: int
    pubsub_token: SecretStr

    @property
    def identifier(self) -> str:
        return json.dumps(
            {
                "channel": "RoomChannel",
                "pubsub_token": self.pubsub_token.get_secret_value(),
                "account_id": self.account,
                "user_id": self.user,
            }
        )


class UnreadableFrame(Exception):
    """A frame is not what Chatwoot sends. The text says what is wrong, and holds nothing of it."""


class Cable:
    """One confirmed subscription, for one thread. Leaving the `with` block closes it.

    `url`: where the gateway reaches Chatwoot. `origin`: Chatwoot's public address, which Rails may
    compare. Raises `Unreachable`, `ServerTrouble`, or `BadCredentials` if no confirmation comes.
    """

    def __init__(self, url: str, origin: str, subscription: Subscription) -> None:
        self._identifier = subscription.identifier
        self._socket = _connect(url, origin)
        try:
            self._subscribe()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def receive(self) -> Fields | None:
        """Wait for the next frame: the event that it tells, or None if it is a ping.

        Raises `Unreachable` if the connection has ended or fallen silent, and `UnreadableFrame`,
        after which the next can be received.
        """
        frame = self._read()
        try:
            kind = frame.optional_text("type")
            if kind == "disconnect":
                why = frame.optional_text("reason") or "no reason given"
                raise Unreachable(f"Chatwoot ends its event stream: {why[:100]}")
            return None if kind or "message" not in frame.values else frame.object("message")
        except WrongShape as error:
            raise UnreadableFrame(str(error)) from error

    def close(self) -> None:
        """End the connection. Raises nothing."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _subscribe(self) -> None:
        deadline, is_welcome = time.monotonic() + CONFIRMED_WITHIN, False
        for kind in self._kinds(deadline):
            if kind == "welcome":
                is_welcome = True
                self._send({"command": "subscribe", "identifier": self._identifier})
            elif kind == "confirm_subscription":
                return
            elif kind == "reject_subscription":
                break
        if not is_welcome:
            raise ServerTrouble("Chatwoot's event stream says nothing")
        raise BadCredentials(
            "Chatwoot does not confirm the subscription to its event stream: the token's user is "
            "not in this account, or their pubsub_token has changed. Check the account's number "
            "and token in the settings"
        )

    def _kinds(self, deadline: float) -> Iterator[str]:
        """The types of the frames that come until the deadline."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield self._read(left).optional_text("type")
            except TimeoutError:
                return
            except (UnreadableFrame, WrongShape) as error:
                raise ServerTrouble("Something answers at /cable, but not Chatwoot") from error

    def _read(self, seconds: float | None = None) -> Fields:
        """The next frame. Raises TimeoutError after `seconds`, if they are given."""
        try:
            text = self._socket.recv(SILENCE if seconds is None else seconds, decode=True)
        except ConnectionClosed as error:
            raise Unreachable("The connection to Chatwoot's event stream has ended") from error
        except TimeoutError:
            if seconds is not None:
                raise
            reason = f"Chatwoot's event stream has been silent for {SILENCE:g} seconds"
            raise Unreachable(reason) from None
        try:
            return Fields.of(json.loads(text), "the frame")
        except (ValueError, RecursionError) as error:
            what = str(error) if isinstance(error, WrongShape) else "it is not JSON"
            raise UnreadableFrame(what) from None

    def _send(self, command: dict[str, str]) -> None:
        try:
            self._socket.send(json.dumps(command))
        except (ConnectionClosed, OSError) as error:
            raise Unreachable("The connection to Chatwoot's event stream has ended") from error


def _connect(url: str, origin: str) -> ClientConnection:
    address = f"ws{url.removeprefix('http')}/cable"
    try:
        return connect(
            address,
            origin=Origin(_origin_of(origin)),
            subprotocols=[PROTOCOL],
            ssl=_trusted() if address.startswith("wss:") else None,
            open_timeout=CONFIRMED_WITHIN,
            close_timeout=FAREWELL,
            ping_interval=None,  # Chatwoot's own pings tell that it lives
            max_size=LARGEST_FRAME,
            legacy=True,
        )
    except (InvalidHandshake, InvalidURI, InvalidProxy) as error:
        raise _refusal(error) from error
    except (OSError, EOFError) as error:  # TimeoutError and ssl.SSLError are among the first
        reason = f"Chatwoot's event stream cannot be reached ({type(error).__name__})"
        raise Unreachable(reason, detail=str(error)) from error


def _refusal(error: Exception) -> DeliveryError:
    if isinstance(error, InvalidStatus):
        return ServerTrouble(
            f"Chatwoot's event stream is refused with status {error.response.status_code}: the web "
            "server before Chatwoot must pass WebSockets on at /cable"
        )
    reason = (
        "Chatwoot's event stream does not answer as a WebSocket: let the web server in front of "
        "it pass WebSockets on"
    )
    return ServerTrouble(reason, detail=type(error).__name__)


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted for calls to the API as well."""
    return ssl.create_default_context(
        cafile=os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    )
