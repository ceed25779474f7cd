"""How long something has lasted, as a person says it."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """48 s, 5 min, 3 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
