"""Keeps a stand-in's state in a JSON file, so that `make run` finds it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class StateFile:
    """A JSON document on disk, for its owner's eyes: it holds tokens.

    Without a path nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def keeps(self) -> bool:
        """Whether there is a file to write to: collecting the state can be spared otherwise."""
        return self._path is not None

    def load(self) -> dict[str, Any]:
        """What was saved last; empty if nothing was. Raises ValueError for a damaged file."""
        if self._path is None or not self._path.exists():
            return {}
        return dict(json.loads(self._path.read_text("utf-8")))

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one step: a process that is killed leaves the old state or the new.

        Raises OSError.
        """
        if self._path is None:
            return
        text = json.dumps(state, ensure_ascii=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(self._path)
