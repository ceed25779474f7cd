"""A stand-in for Chatwoot: enough of its real HTTP interface to build and test a channel with."""

from sandbox.chatwoot.records import Upload
from sandbox.chatwoot.stand_in import ChatwootStandIn
from sandbox.faults import Fault, Kind

__all__ = ["ChatwootStandIn", "Fault", "Kind", "Upload"]
