"""Answers requests: who asks, for which account, and in which dialect errors are told."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable

from sandbox.chatwoot.limits import RequestLimits
from sandbox.chatwoot.parameters import as_id, parameters_of
from sandbox.chatwoot.records import Account, Bot, User
from sandbox.chatwoot.refusals import NotFound, Refusal, ServerError, Unauthorized
from sandbox.chatwoot.routes import ALL_ROUTES
from sandbox.chatwoot.routing import Access, Answer, Call, Route, Routes
from sandbox.chatwoot.store import Store
from sandbox.server import Head, Reply

log = logging.getLogger(__name__)

_OPEN = {Access.ANYBODY, Access.PUBLIC}


class Application:
    """Chatwoot's three HTTP interfaces over one store."""

    def __init__(self, store: Store, limits: RequestLimits) -> None:
        self._store = store
        self._limits = limits
        self._routes = Routes(ALL_ROUTES)
        self.requests: Counter[tuple[str, str]] = Counter()
        """How often each route was called, by method and pattern."""

    def __call__(self, head: Head, read: Callable[[], bytes]) -> Reply:
        body = read()
        try:
            route, names = self._routes.find(head.method, head.path)
        except NotFound:
            return _reply(404, {"status": 404, "error": "Not Found"})
        self.requests[head.method, route.pattern] += 1
        if refused := self._limits.count(head.path):
            return refused
        try:
            return self._answer(route, names, head, body)
        except NotFound as refusal:
            public = route.access is Access.PUBLIC
            return _reply(404, {"status": 404, "error": "Not Found"} if public else refusal.body)
        except Refusal as refusal:
            return _reply(refusal.status, refusal.body)
        except Exception:
            log.exception("%s %s broke", head.method, route.pattern)
            return _reply(500, ServerError().body)

    def _answer(self, route: Route, names: dict[str, str], head: Head, body: bytes) -> Reply:
        parameters = parameters_of(head, body)
        with self._store.reading():
            owner = None if route.access in _OPEN else self._owner(head, route)
            account = self._account(names, owner) if "account" in names else None
            call = Call(self._store, names, parameters, owner, account)
            if route.access is Access.ADMINISTRATOR and not call.is_administrator:
                raise Unauthorized
            if head.method == "GET":
                return _reply(200, route.answer(call))
            with self._store.changing(actor=owner):
                return _reply(200, route.answer(call))

    def _owner(self, head: Head, route: Route) -> User | Bot:
        token = head.headers.get("api-access-token")
        if not token:
            text = "You need to sign in or sign up before continuing."
            raise Refusal(401, {"errors": [text]})
        for user in self._store.users:
            if user.token == token:
                return user
        for bot in self._store.bots:
            if bot.token == token:
                if self._admits_bots(route.access):
                    return bot
                raise Unauthorized("Access to this endpoint is not authorized for bots")
        raise Unauthorized("Invalid Access Token")

    def _admits_bots(self, access: Access) -> bool:
        version = self._store.version
        return {
            Access.BOT: True,
            Access.TYPING_BOT: version.bots_may_type,
            Access.READING_BOT: version.bots_may_read,
        }.get(access, False)

    def _account(self, names: dict[str, str], owner: User | Bot | None) -> Account:
        account = self._store.accounts.get(as_id(names["account"]))
        if isinstance(owner, User) and owner.role_in(account.id) is None:
            raise Unauthorized("You are not authorized to access this account")
        if isinstance(owner, Bot) and owner.account_id != account.id:
            raise Unauthorized("Bot is not authorized to access this account")
        return account


def _reply(status: int, answer: Answer) -> Reply:
    if isinstance(answer, Reply):
        return answer
    if answer is None:
        return Reply(status)
    return Reply(status, json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))
