"""Version, profile, account and agents."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.chatwoot import shapes
from sandbox.chatwoot.records import JSON
from sandbox.chatwoot.routing import Access, Call, Route


def show_version(call: Call) -> JSON:
    moment = datetime.fromtimestamp(call.store.now(), UTC)
    return {
        "version": call.store.version.number,
        "timestamp": f"{moment:%Y-%m-%d %H:%M:%S}",
        "queue_services": "ok",
        "data_services": "ok",
    }


def show_profile(call: Call) -> JSON:
    """Chatwoot does send the token back here."""
    user = call.user
    accounts = [
        {"id": int(key), "name": call.store.accounts.get(int(key)).name, "role": role}
        for key, role in user.roles.items()
    ]
    return {
        "id": user.id,
        "name": user.name,
        "available_name": user.name,
        "display_name": None,
        "email": user.email,
        "uid": user.email,
        "provider": "email",
        "confirmed": True,
        "access_token": user.token,
        "account_id": accounts[0]["id"] if accounts else None,
        "role": accounts[0]["role"] if accounts else None,
        "accounts": accounts,
        "avatar_url": "",
        "type": None,
    }


def show_account(call: Call) -> JSON:
    account = call.account
    return {
        "id": account.id,
        "name": account.name,
        "locale": "en",
        "status": "active",
        "features": dict.fromkeys(account.features, True),
    }


def list_agents(call: Call) -> list[JSON]:
    return [
        shapes.agent(user, call.account.id)
        for user in call.store.users
        if user.role_in(call.account.id)
    ]


ROUTES = (
    Route("GET", "/api", Access.ANYBODY, show_version),
    Route("GET", "/api/v1/profile", Access.USER, show_profile),
    Route("GET", "/api/v1/accounts/{account}", Access.USER, show_account),
    Route("GET", "/api/v1/accounts/{account}/agents", Access.USER, list_agents),
)
