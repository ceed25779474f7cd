"""A Chatwoot that runs in this process: a real server, real webhooks, and an agent on call."""

from __future__ import annotations

import queue
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sandbox.chatwoot.application import Application
from sandbox.chatwoot.bots import create_bot
from sandbox.chatwoot.cable import PATH as CABLE
from sandbox.chatwoot.cable import Cable
from sandbox.chatwoot.control import Control
from sandbox.chatwoot.desk import AgentDesk
from sandbox.chatwoot.feed import describe
from sandbox.chatwoot.inboxes import create_inbox, update_inbox
from sandbox.chatwoot.limits import RequestLimits
from sandbox.chatwoot.records import Event, User
from sandbox.chatwoot.saving import StoreSaver
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.version import NEWEST, version_named
from sandbox.chatwoot.webhooks import WebhookSender
from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.feed import Event as FeedEvent
from sandbox.feed import Feed
from sandbox.server import Head, Reply, Server, Upgrade


class ChatwootStandIn(AgentDesk):
    """Runs between `start()` and `stop()`, or inside `with`.

    `version`: the release to play, one of `RELEASES` in `sandbox/chatwoot/version.py`.
    `state_file`: where everything is kept across restarts. `flood_limit`: messages a minute in one
    conversation, None for no limit. `request_limit` and `search_limit`: requests a minute, off by
    default. `webhook_timeout` is in seconds. `duplicates`: send each webhook twice.
    """

    def __init__(
        self,
        *,
        version: str = NEWEST,
        port: int = 0,
        state_file: Path | None = None,
        flood_limit: int | None = 200,
        request_limit: int | None = None,
        search_limit: int | None = None,
        webhook_timeout: float = 5.0,
        seed: int = 0,
        duplicates: bool = False,
    ) -> None:
        store = Store(version_named(version), flood_limit=flood_limit)
        super().__init__(store)
        self.webhooks = WebhookSender(
            store, timeout=webhook_timeout, seed=seed, duplicates=duplicates
        )
        self.cable = Cable(store, seed=seed)
        limits = RequestLimits(request_limit, search_limit, store)
        self._application = Application(store, limits)
        self.faults = Faults()
        self._feed = Feed()
        store.listeners.append(self._publish)
        self._server = Server(FaultyApplication(self._answer, self.faults), port)
        self._control = Server(Control(self.faults, self.cable, self.requests))
        self._saver = StoreSaver(state_file, store) if state_file else None

    @property
    def url(self) -> str:
        """Known once started."""
        return self._server.url

    @property
    def control_url(self) -> str:
        return self._control.url

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """Requests so far by (method, route), such as ("POST", "/api/v1/accounts/{account}/…")."""
        return self._application.requests

    @property
    def administrator(self) -> User:
        return self.store.users.get(1)

    @property
    def access_token(self) -> str:
        """The administrator's."""
        return self.administrator.token

    def start(self) -> Self:
        """Raises OSError if the port is taken, ValueError if the state file is damaged."""
        if self._saver is None or not self._saver.load():
            self._create_account()
        if self._saver is not None:
            self._saver.start()
        self.faults.start()
        self._server.start()
        self._control.start()
        self.store.url = self.url
        self.webhooks.start()
        self.cable.start()
        return self

    def stop(self) -> None:
        self.faults.stop()
        self._server.stop()
        self._control.stop()
        self.webhooks.stop()
        self.cable.stop()
        if self._saver is not None:
            self._saver.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_inbox(self, name: str, webhook_url: str | None, *, lock: bool = False) -> int:
        """An API inbox of account 1 with the agent as its member; answers with its id.

        `lock`: one conversation per contact for ever.
        """
        fields = {
            "name": name,
            "lock_to_single_conversation": lock,
            "channel": {"type": "api", "webhook_url": webhook_url},
        }
        with self.store.changing():
            inbox = create_inbox(self.store, self.account_id, fields)
            inbox.member_ids.append(self.agent.id)
            return inbox.id

    def set_webhook(self, inbox_id: int, webhook_url: str) -> None:
        """Enter another address in an inbox's settings."""
        with self.store.changing():
            inbox = self.store.inboxes.get(inbox_id)
            update_inbox(self.store, inbox, {"channel": {"webhook_url": webhook_url}})

    def add_account(self, name: str) -> int:
        """One more account, with the same administrator."""
        with self.store.changing():
            account = self.store.accounts.add(name=name, created_at=self.store.now())
            self.administrator.roles[str(account.id)] = "administrator"
            return account.id

    def add_team(self, name: str, *members: int) -> int:
        """A team of account 1; answers with its id. Chatwoot writes names of teams small."""
        with self.store.changing():
            now = self.store.now()
            team = self.store.teams.add(
                account_id=self.account_id,
                name=name.lower(),
                member_ids=list(members),
                created_at=now,
                updated_at=now,
            )
            return team.id

    def add_label(self, title: str) -> None:
        """A label in the settings of account 1. Chatwoot writes titles of labels small."""
        with self.store.changing():
            self.store.accounts.get(self.account_id).labels.append(title.lower())

    def add_bot(self, name: str, inbox_id: int | None = None) -> str:
        """An agent bot, active in an inbox if one is given; answers with its token."""
        with self.store.changing():
            bot = create_bot(self.store, self.account_id, name, None)
            if inbox_id is not None:
                self.store.inboxes.get(inbox_id).bot_id = bot.id
            return bot.token

    def fault(self, kind: str, **values: Any) -> None:
        """Switch a fault on; the values are those of `Fault`."""
        self.faults.add(Fault(Kind(kind), **values))

    def clear_faults(self) -> None:
        self.faults.clear()

    def go_away(self) -> None:
        """Stop listening, as after a crash of the whole installation. Its webhooks, which
        other processes send, still leave."""
        self._server.stop()

    def come_back(self) -> None:
        """Listen again, at the same address. Raises OSError if the port was taken meanwhile."""
        self._server.start()

    def delay_files(self, seconds: float) -> None:
        """From now on the bytes of new attachments are there only so long after the message."""
        with self.store.changing():
            self.store.blob_delay = seconds

    def subscribe(self) -> queue.Queue[FeedEvent]:
        """A queue of small events, such as
        {"event": "message_created", "conversation": 12, "message": 1002}."""
        return self._feed.subscribe()

    def unsubscribe(self, subscriber: queue.Queue[FeedEvent]) -> None:
        self._feed.unsubscribe(subscriber)

    def wait_for_webhooks(self, seconds: float = 10.0) -> bool:
        """Wait until every webhook has had its attempt. False if time ran out first."""
        return self.webhooks.wait_until_idle(seconds)

    def _answer(self, head: Head, read: Callable[[], bytes]) -> Reply | Upgrade:
        """The event stream has an address beside those of the HTTP interfaces."""
        return self.cable.answer(head) if head.path == CABLE else self._application(head, read)

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            self._feed.publish(describe(self.store, event))

    def _create_account(self) -> None:
        """Account 1 with an administrator and an agent, whose tokens are random."""
        store = self.store
        with store.changing():
            store.accounts.add(name="Sandbox", created_at=store.now())
            for name, role in (("Ada Admin", "administrator"), ("Bob Agent", "agent")):
                email = f"{name.split()[0].lower()}@sandbox.example"
                token = secrets.token_urlsafe(24)
                store.users.add(name=name, email=email, token=token, roles={"1": role})
