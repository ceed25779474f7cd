"""The tests of traps have a whole gateway at hand."""

from tests.relay.house import house

__all__ = ["house"]
