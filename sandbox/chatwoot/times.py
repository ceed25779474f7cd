"""Chatwoot writes times in three ways, depending on the place."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(seconds: float | None) -> str | None:
    """2026-01-20T10:01:40.123Z"""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def unix(seconds: float | None) -> int:
    """Whole seconds; 0 means «never»."""
    return int(seconds or 0)
