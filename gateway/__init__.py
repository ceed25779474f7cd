"""The Chatwoot channel gateway: carries messages between outside networks and Chatwoot."""

__version__ = "0.1.0"
