"""Version, profile, account, agents, teams and labels."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.chatwoot import shapes
from sandbox.chatwoot.records import JSON
from sandbox.chatwoot.routing import Access, Call, Route

_TEAM = "/api/v1/accounts/{account}/teams/{team}"


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
        "pubsub_token": user.pubsub_token,
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


def list_teams(call: Call) -> list[JSON]:
    """A bare list, as that of the agents."""
    mine = [team for team in call.store.teams if team.account_id == call.account.id]
    return [shapes.team(team) for team in mine]


def list_team_members(call: Call) -> list[JSON]:
    team = call.store.teams.get(int(call.path["team"]))
    members = (call.store.users.get(number) for number in team.member_ids)
    return [shapes.agent(user, call.account.id) for user in members]


def list_labels(call: Call) -> JSON:
    numbered = enumerate(call.account.labels, start=1)
    return {
        "payload": [
            {
                "id": number,
                "title": title,
                "description": "",
                "color": "#1f93ff",
                "show_on_sidebar": True,
            }
            for number, title in numbered
        ]
    }


ROUTES = (
    Route("GET", "/api", Access.ANYBODY, show_version),
    Route("GET", "/api/v1/profile", Access.USER, show_profile),
    Route("GET", "/api/v1/accounts/{account}", Access.USER, show_account),
    Route("GET", "/api/v1/accounts/{account}/agents", Access.USER, list_agents),
    Route("GET", "/api/v1/accounts/{account}/teams", Access.USER, list_teams),
    Route("GET", _TEAM + "/team_members", Access.USER, list_team_members),
    Route("GET", "/api/v1/accounts/{account}/labels", Access.USER, list_labels),
)
