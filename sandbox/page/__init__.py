"""The page that plays both sides: the customers' devices and the agent's desk."""

from sandbox.page.server import PageServer

__all__ = ["PageServer"]
