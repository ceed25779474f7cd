"""Reads channels.toml and the environment into typed settings, or into a list of problems."""

from gateway.config.problems import ConfigError, Problem
from gateway.config.reading import load, named_inboxes
from gateway.config.values import Channel, ChatwootAccount, GatewaySettings, Settings

__all__ = [
    "Channel",
    "ChatwootAccount",
    "ConfigError",
    "GatewaySettings",
    "Problem",
    "Settings",
    "load",
    "named_inboxes",
]
