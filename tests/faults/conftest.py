"""The tests of faults have a gateway at hand whose processes end when they are told."""

from tests.faults.env import env

__all__ = ["env"]
