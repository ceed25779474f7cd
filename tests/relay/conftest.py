"""The tests of the relay have a whole gateway at hand."""

from tests.relay.env import env

__all__ = ["env"]
