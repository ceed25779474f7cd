"""Agent bots (agent_bots_controller.rb, and inboxes_controller.rb for where they work)."""

from __future__ import annotations

from sandbox.chatwoot.bots import create_bot
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON, Bot
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.routing import Access, Call, Route

_BASE = "/api/v1/accounts/{account}/agent_bots"


def index(call: Call) -> list[JSON]:
    mine = [bot for bot in call.store.bots if bot.account_id == call.account.id]
    return [_shown(call, bot) for bot in mine]


def create(call: Call) -> JSON:
    url = call.parameters.text("outgoing_url") or None
    return _shown(call, create_bot(call.store, call.account.id, call.parameters.text("name"), url))


def set_for_inbox(call: Call) -> None:
    """Without a bot's id nobody works in the inbox any more."""
    inbox = call.inbox(call.path["inbox"])
    wanted = call.fields.get("agent_bot")
    inbox.bot_id = _bot(call, wanted).id if wanted else None


def _bot(call: Call, bot_id: object) -> Bot:
    bot = call.store.bots.get(as_id(bot_id))
    if bot.account_id != call.account.id:
        raise NotFound
    return bot


def _shown(call: Call, bot: Bot) -> JSON:
    secret = {"secret": bot.secret} if call.store.version.signs_webhooks else {}
    return {
        "id": bot.id,
        "name": bot.name,
        "description": None,
        "thumbnail": "",
        "outgoing_url": bot.outgoing_url,
        "bot_type": "webhook",
        "bot_config": {},
        "account_id": bot.account_id,
        "access_token": bot.token,
        **secret,
        "system_bot": False,
    }


ROUTES = (
    Route("GET", _BASE, Access.USER, index),
    Route("POST", _BASE, Access.ADMINISTRATOR, create),
    Route(
        "POST",
        "/api/v1/accounts/{account}/inboxes/{inbox}/set_agent_bot",
        Access.ADMINISTRATOR,
        set_for_inbox,
    ),
)
