"""Keeps everything that the stand-in knows in a file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.chatwoot.records import JSON, Attachment, Blob, Event
from sandbox.chatwoot.store import Store, Table
from sandbox.state import StateFile

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds that a change may wait for further ones before the file is written."""


class StoreSaver:
    """Writes the store to a file soon after it changed, and at the end."""

    def __init__(self, path: Path, store: Store) -> None:
        self._file = StateFile(path)
        self._path = path
        self._store = store
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chatwoot-state", daemon=True)
        store.listeners.append(self._note_change)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._dirty.set()
        self._thread.join(5)
        self.save()

    def load(self) -> bool:
        """Fill the store from the file. False if there is no file yet.

        Raises ValueError if the file is damaged.
        """
        try:
            if not (state := self._file.load()):
                return False
            restore(self._store, state)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path} is not a state file of the stand-in") from error
        return True

    def save(self) -> None:
        """Raises OSError."""
        with self._store.reading():
            state = snapshot(self._store)
        self._file.save(state)

    def _note_change(self, events: list[Event]) -> None:
        self._dirty.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._dirty.wait()
            if self._stopping.wait(PAUSE):
                return
            self._dirty.clear()
            try:
                self.save()
            except OSError:
                log.exception("the state could not be saved to %s", self._path)


def snapshot(store: Store) -> JSON:
    tables = {
        name: {"last_id": table.last_id, "rows": [asdict(row) for row in table.rows.values()]}
        for name, table in _tables(store).items()
    }
    return {
        "tables": tables,
        "blobs": [asdict(blob) for blob in store.blobs.values()],
        "last_attachment_id": store.last_attachment_id,
    }


def restore(store: Store, state: JSON) -> None:
    for name, table in _tables(store).items():
        saved = state["tables"].get(name, {"last_id": 0, "rows": []})  # younger than the file
        table.last_id = saved["last_id"]
        table.rows = {row["id"]: table.row(**row) for row in saved["rows"]}
    for message in store.messages:
        message.attachments = [_attachment(saved) for saved in message.attachments]
    store.blobs = {blob["key"]: Blob(**blob) for blob in state["blobs"]}
    store.last_attachment_id = state["last_attachment_id"]
    store.index()


def _attachment(saved: Any) -> Attachment:
    return Attachment(**saved)


def _tables(store: Store) -> Mapping[str, Table[Any]]:
    return {
        "accounts": store.accounts,
        "users": store.users,
        "bots": store.bots,
        "teams": store.teams,
        "inboxes": store.inboxes,
        "contacts": store.contacts,
        "contact_inboxes": store.contact_inboxes,
        "conversations": store.conversations,
        "messages": store.messages,
        "webhooks": store.webhooks,
    }
