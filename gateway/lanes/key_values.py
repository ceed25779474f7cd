"""Small texts under keys of their own: where a poller is, what was told last."""

from __future__ import annotations

from dataclasses import dataclass

import redis


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Texts, each under its own key of `keys`.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis

    def get(self, key: str, *, seconds: int | None = None) -> str | None:
        """The text under a key; None if it is not set. `seconds`: and keep it so long from now on,
        also in a full Redis, where it could not be written anew."""
        text = self.client.get(key) if seconds is None else self.client.getex(key, ex=seconds)
        return None if text is None else str(text)

    def set(self, key: str, text: str, *, seconds: int | None = None) -> None:
        """Keep a text under a key; `seconds`: for how long, if not for ever."""
        self.client.set(key, text, ex=seconds)
