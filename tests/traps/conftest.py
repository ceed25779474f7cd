"""The tests of traps have a whole gateway at hand."""

from tests.relay.env import env
from tests.relay.two_channel_env import pair

__all__ = ["env", "pair"]
