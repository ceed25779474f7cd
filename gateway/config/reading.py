"""Reads channels.toml. All problems are collected and reported together."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import redis
from pydantic import BaseModel, ValidationError

from gateway.adapter import Adapter
from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.config import sentinels
from gateway.config.adapters import BrokenAdapter, UnknownAdapter, find_adapter, known_kinds
from gateway.config.lines import locate
from gateway.config.problems import ConfigError, Problem
from gateway.config.public_address import callers
from gateway.config.references import expand
from gateway.config.report import Report
from gateway.config.values import Channel, ChatwootAccount, GatewaySettings, Settings

Model = TypeVar("Model", bound=BaseModel)

SECTIONS = ("gateway", "chatwoot", "channels")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
NAME_RULE = "Use lower-case letters, digits and hyphens; start with a letter or digit."


def load(
    path: Path, environ: Mapping[str, str], *, inboxes: Mapping[str, int] = MappingProxyType({})
) -> Settings:
    """The settings that the file and the environment give.

    `inboxes`: channel → the number of its inbox, where the file has only a name (see
    `named_inboxes`). Raises `ConfigError` with every problem that was found.
    """
    text = _text(path)
    document, expansion = expand(_document(path, text), environ)
    report = Report(path.name, locate(text), expansion.values)
    for where, wrong, cure in expansion.missing:
        report.add(where, wrong, cure)
    reader = _Reader(document, report, inboxes)
    settings = reader.settings(path, environ)
    if settings is None or report.problems:
        raise ConfigError(report.problems)
    return settings


def named_inboxes(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Channel → the name of its inbox, existing or to be created, where the file gives no number.

    Without `inbox` it is the channel's own name. Raises `ConfigError` if the file is not TOML.
    """
    document, _ = expand(_document(path, _text(path)), environ)
    channels = document.get("channels")
    sections = channels.items() if isinstance(channels, dict) else ()
    return {
        name: str(section.get("inbox", name))
        for name, section in sections
        if isinstance(section, dict) and _is_name(section.get("inbox", name))
    }


def _text(path: Path) -> str:
    try:
        # Some editors begin a file with an invisible byte order mark.
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        wrong, cure = "does not exist", f"Copy channels.example.toml to {path} and fill it in."
    except IsADirectoryError:
        # Docker creates a folder where it is told to mount a file that does not exist.
        wrong, cure = "is a folder, not a file", f"Remove the folder, and create the file {path}."
    except UnicodeDecodeError:
        wrong, cure = "is not UTF-8 text", "Save it as UTF-8."
    except OSError as error:
        wrong, cure = f"cannot be read: {error.strerror}", "Check the file's permissions."
    raise ConfigError([Problem(str(path), None, "", wrong, cure)])


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(?P<what>.*?) \(at (?:line (?P<line>\d+)|end).*\)", str(error))
        line = int(said["line"] or text.count("\n") + 1) if said else None
        what = said["what"] if said else str(error)
    cure = 'Put texts in quotes, also ${…}: token = "${TOKEN}". Write tables as [in.brackets].'
    raise ConfigError([Problem(path.name, line, "", f"is not valid TOML: {what}", cure)])


class _Reader:
    """Turns one document into values, and reports what is invalid."""

    def __init__(
        self, document: Mapping[str, Any], report: Report, inboxes: Mapping[str, int]
    ) -> None:
        self._document = document
        self._report = report
        self._inboxes = inboxes

    def settings(self, path: Path, environ: Mapping[str, str]) -> Settings | None:
        report = self._report
        self._report_unknown(self._document, (), SECTIONS)
        gateway = self._gateway(self._redis(environ))
        accounts = self._accounts()
        channels = self._channels(accounts)
        _report_shared_inboxes(channels.values(), report)
        _report_shared_accounts(channels.values(), report)
        if gateway is None:
            return None
        if not gateway.public_url:
            self._require_public_url(accounts, channels)
        return Settings(gateway, accounts, channels, path)

    def _redis(self, environ: Mapping[str, str]) -> str:
        """Where Redis is; empty if the environment does not say."""
        url = environ.get("REDIS_URL", "")
        if url and not _is_redis(url):
            self._report.environment(
                "REDIS_URL",
                "is not the address of a Redis server",
                "Write redis://HOST:6379/0 (rediss:// for TLS, unix:///PATH for a socket; after a "
                "? only options of redis-py), set REDIS_SENTINELS instead, or unset both: `run` "
                "then starts a server of its own.",
            )
        if environ.get("REDIS_TLS_VERIFY", "on") not in {"", "on", "off"}:
            self._report.environment(
                "REDIS_TLS_VERIFY",
                "must be on or off",
                "Unset it; or set it to off, where Redis has signed its certificate itself.",
            )
        try:
            found = sentinels.from_environment(environ)
        except ValueError as error:
            self._report.environment(sentinels.VARIABLE, str(error), sentinels.CURE)
            return url
        if url and found is not None:
            self._report.environment(
                sentinels.VARIABLE,
                "is set although REDIS_URL is set too",
                "Unset one of them: with sentinels, the sentinels say where Redis is.",
            )
        return found.url if found else url

    def _gateway(self, redis_url: str) -> GatewaySettings | None:
        section = self._table(("gateway",))
        known = [f.alias or name for name, f in GatewaySettings.model_fields.items()]
        known.remove("redis_url")
        self._report_unknown(section, ("gateway",), known)
        values = {key: value for key, value in section.items() if key in known}
        return self._model(GatewaySettings, ("gateway",), {**values, "redis_url": redis_url})

    def _require_public_url(
        self, accounts: Mapping[str, ChatwootAccount], channels: Mapping[str, Channel]
    ) -> None:
        if calling := list(callers(accounts.values(), channels.values())):
            cure = f"Write the address at which the gateway is reached. {' '.join(calling)}"
            self._report.add(("gateway", "public_url"), "is missing", cure)

    def _accounts(self) -> dict[str, ChatwootAccount]:
        accounts = {}
        known = [name for name in ChatwootAccount.model_fields if name != "name"]
        for name in self._table(("chatwoot",)):
            where = ("chatwoot", name)
            section = self._table(where)
            self._report_unknown(section, where, known)
            values = {key: value for key, value in section.items() if key in known}
            account = self._model(ChatwootAccount, where, {**values, "name": name})
            if account is not None:
                accounts[name] = account
        if not self._table(("chatwoot",)):
            self._report.add(
                ("chatwoot",),
                "no Chatwoot account is configured",
                "Add [chatwoot.main] with url, account and token.",
            )
        return accounts

    def _channels(self, accounts: Mapping[str, ChatwootAccount]) -> dict[str, Channel]:
        sections = self._table(("channels",))
        if not sections:
            self._report.add(
                ("channels",),
                "no channel is configured",
                "Add one: [channels.my-bot] with adapter, inbox and the adapter's own keys.",
            )
        found = {name: self._channel(name, accounts) for name in sections}
        for name in sections:
            if not NAME.fullmatch(name):
                self._report.add(("channels", name), "is not a valid channel name", NAME_RULE)
        return {name: channel for name, channel in found.items() if channel is not None}

    def _channel(self, name: str, accounts: Mapping[str, ChatwootAccount]) -> Channel | None:
        where = ("channels", name)
        section = self._with_inbox(name, self._table(where))
        adapter = self._adapter(where, section)
        account = self._account(where, section, accounts)
        if adapter is None:
            return None
        self._report_unknown(section, where, adapter.Config.model_fields)
        defaults = (*where, "conversation_defaults")
        self._report_unknown(self._table(defaults), defaults, ConversationDefaults.model_fields)
        values = {
            key: value for key, value in section.items() if key in adapter.Config.model_fields
        }
        config = self._model(adapter.Config, where, values)
        if config is None or account is None:
            return None
        return Channel(name, config, adapter, account)

    def _with_inbox(self, name: str, section: Mapping[str, Any]) -> Mapping[str, Any]:
        if name in self._inboxes:
            return {**section, "inbox": self._inboxes[name]}
        if _is_name(section.get("inbox")):
            self._report.add(
                ("channels", name, "inbox"),
                "is the name of an inbox, but must be its number",
                "Run `python -m gateway setup`: it finds or creates the inbox and prints "
                "its number.",
            )
        return section

    def _adapter(self, where: tuple[str, ...], section: Mapping[str, Any]) -> type[Adapter] | None:
        here, kinds = (*where, "adapter"), known_kinds()
        kind = section.get("adapter")
        choices = f"Choose {', '.join(kinds)}, or name a class: package.module:Class."
        if not isinstance(kind, str):
            wrong = "is missing" if kind is None else "must be a text, in quotes"
            self._report.add(here, wrong, f"It names the kind of network. {choices}")
            return None
        try:
            return find_adapter(kind)
        except UnknownAdapter as error:
            self._report.add(here, str(error), _did_you_mean(kind, kinds) + choices)
        except BrokenAdapter as error:
            self._report.add(here, str(error), "Fix the adapter, or name another one.")
        return None

    def _account(
        self,
        where: tuple[str, ...],
        section: Mapping[str, Any],
        accounts: Mapping[str, ChatwootAccount],
    ) -> ChatwootAccount | None:
        here, names = (*where, "chatwoot"), list(self._table(("chatwoot",)))
        name = section.get("chatwoot") or (names[0] if len(names) == 1 else None)
        if name in names:
            return accounts.get(name)
        if isinstance(name, str) and name:
            known = f"Known accounts: {', '.join(names)}." if names else "Add that table."
            cure = _did_you_mean(name, names) + known
            self._report.add(here, f"table [chatwoot.{name}] does not exist", cure)
        elif len(names) > 1:
            cure = f'Add chatwoot = "{names[0]}", or one of: {", ".join(names[1:])}.'
            self._report.add(here, "does not say which Chatwoot it belongs to", cure)
        return None

    def _table(self, where: tuple[str, ...]) -> Mapping[str, Any]:
        table: Mapping[str, Any] = self._document
        for name in where:
            value = table.get(name, {})
            if not isinstance(value, dict):
                cure = f"Write [{'.'.join(where)}] on a line of its own, with its keys below."
                self._report.add(where, "must be a table", cure)
                return {}
            table = value
        return table

    def _report_unknown(
        self, section: Mapping[str, Any], where: tuple[str, ...], known: Iterable[str]
    ) -> None:
        names = list(known)
        for key in section:
            if key not in names:
                cure = _did_you_mean(key, names) + f"Known keys: {', '.join(names)}."
                self._report.add((*where, key), "is not a known key", cure)

    def _model(
        self, model: type[Model], where: tuple[str, ...], values: Mapping[str, Any]
    ) -> Model | None:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._report.add_invalid(where, model, values, error)
            return None


def _is_name(inbox: object) -> bool:
    """False for a number that comes from the environment, and so is a text."""
    return isinstance(inbox, str) and bool(inbox.strip()) and not inbox.strip().isdigit()


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean «{close[0]}»? " if close else ""


def _is_redis(url: str) -> bool:
    """Whether redis-py accepts the address. Connects to nothing."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):  # TypeError: an unknown option
        return False
    return True


def _report_shared_inboxes(channels: Iterable[Channel], report: Report) -> None:
    taken: dict[tuple[str, int, int], str] = {}
    for channel in channels:
        account, inbox = channel.account, channel.config.inbox
        first = taken.setdefault((account.url, account.account, inbox), channel.name)
        if first != channel.name:
            report.add(
                ("channels", channel.name, "inbox"),
                f"inbox {inbox} already belongs to channel «{first}»",
                "Create a separate API inbox for each channel, in Chatwoot's settings.",
            )


def _report_shared_accounts(channels: Iterable[Channel], report: Report) -> None:
    """Two channels of one bot or mailbox would take each other's messages."""
    taken: dict[tuple[object, ...], str] = {}
    for channel in channels:
        names = channel.adapter.account_settings
        if not names:
            continue
        own = (channel.adapter, *(getattr(channel.config, name) for name in names))
        first = taken.setdefault(own, channel.name)
        if first != channel.name:
            report.add(
                ("channels", channel.name, names[-1]),
                f"{' and '.join(names)} are those of channel «{first}»"
                if len(names) > 1
                else f"is that of channel «{first}»",
                f"Remove one of the two channels, or give this one {names[-1]} of its own.",
            )
