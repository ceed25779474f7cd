"""The one `Bot` of a channel, on the process's one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import telegram
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from adapters.telegram.errors import MISREAD, Answered, meaning_of
from gateway.errors import DeliveryError, Permanent, Uncertain, Unreachable
from gateway.http import Answer, Session, check_fence, meaning
from gateway.runtime import Runtime


class Bot(telegram.Bot):
    """The library's, which also brings updates as Telegram wrote them."""

    async def unread_updates(
        self, offset: int | None, timeout: int, allowed: Sequence[str]
    ) -> list[dict[str, Any]]:
        """`get_updates` reads all of them or, if it cannot read one, none."""
        asked = {"offset": offset, "timeout": timeout, "allowed_updates": allowed}
        patience = (self._request[0].read_timeout or 0) + timeout
        updates: list[dict[str, Any]] = await self._post("getUpdates", asked, read_timeout=patience)
        for update in updates:
            if type(update["update_id"]) is not int:
                raise TypeError("update_id is a number")
        return updates


T = TypeVar("T")
Work = Callable[[Bot], Coroutine[Any, Any, T]]

SLOWEST_UPLOAD = 500_000
"""Bytes a second: a file gets so much more time than a text."""
DOWNLOAD = 120.0
"""Seconds that fetching a file may take."""


class Requests(HTTPXRequest):
    """Keeps the status of answers that the library would all call `NetworkError`."""

    async def do_request(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        status, body = await super().do_request(*args, **options)
        if status >= 500 or (status == 429 and b"retry_after" not in body):
            raise Answered(meaning(Answer("POST", status, {}, body)))
        return status, body


class BotConnection:
    """The connection to one bot. `deadline`: the longest that a call may take, in seconds."""

    def __init__(self, token: str, api_url: str, runtime: Runtime, *, deadline: float) -> None:
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._runtime = runtime
        self._deadline = deadline
        self._bot: Bot | None = None
        self._starting = asyncio.Lock()

    def write(self, work: Work[T], *, size: int = 0) -> T:
        """Do what changes something, with `size` bytes of a file. Raises `Uncertain` if it may have
        been done unnoticed."""
        bot = self.start()
        check_fence()
        return self._call(work(bot), self._deadline + size / SLOWEST_UPLOAD)

    def ask(self, work: Work[T], *, waiting: float = 0.0) -> T:
        """Do what changes nothing, and may wait `waiting` seconds for an answer by design."""
        bot = self.start()
        try:
            return self._call(work(bot), self._deadline + waiting)
        except Uncertain as error:
            raise Unreachable(error.reason, detail=error.detail) from None

    def download(self, file_id: str, http: Session) -> Iterator[bytes]:
        """The bytes of a file. Its address holds the token, so errors are told without it."""
        address = self.ask(lambda bot: bot.get_file(file_id)).file_path or ""
        if not address.startswith(f"{self._api_url}/"):
            raise Permanent("Telegram does not say where the file is")
        try:
            yield from http.download(address, deadline=DOWNLOAD)
        except Permanent as error:
            raise Permanent(
                "Telegram does not have the file any more", detail=type(error).__name__
            ) from None
        except DeliveryError as error:
            error.detail = error.detail.replace(self._token, "[token]")
            raise error from None

    def start(self) -> Bot:
        """The bot, made and introduced (getMe) by whoever comes first, again if that failed."""
        if self._bot is not None:
            return self._bot
        try:
            return self._call(self._introduce(), self._deadline)
        except Uncertain as error:
            raise Unreachable(error.reason, detail=error.detail) from None

    def close(self) -> None:
        if self._bot is not None:
            bot, self._bot = self._bot, None
            self._call(bot.shutdown(), self._deadline)

    async def _introduce(self) -> Bot:
        async with self._starting:
            if self._bot is None:
                bot = Bot(
                    self._token,
                    base_url=f"{self._api_url}/bot",
                    base_file_url=f"{self._api_url}/file/bot",
                    request=self._requests(connections=64),
                    get_updates_request=self._requests(connections=2),
                )
                try:
                    await bot.initialize()
                except BaseException:
                    await bot.shutdown()
                    raise
                self._bot = bot
            return self._bot

    def _requests(self, *, connections: int) -> Requests:
        return Requests(
            connection_pool_size=connections,
            connect_timeout=5.0,
            read_timeout=self._deadline,
            write_timeout=self._deadline,
            pool_timeout=5.0,
        )

    def _call(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            return self._runtime.run(work, seconds=seconds)
        except TelegramError as error:
            # «from None»: the library's own texts and causes may carry the token.
            raise meaning_of(error, self._redacted(error)) from None
        except TimeoutError:
            raise Uncertain("Telegram did not answer in time") from None
        except MISREAD as error:
            raise Uncertain(
                "Telegram sent an answer that makes no sense", detail=type(error).__name__
            ) from None

    def _redacted(self, error: TelegramError) -> str:
        return f"{type(error).__name__}: {error}".replace(self._token, "[token]")
