"""Version, profile, account, agents, teams and labels."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.chatwoot import shapes
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.times import iso

_FEATURES = (
    "inbound_emails",
    "channel_email",
    "channel_facebook",
    "help_center",
    "agent_bots",
    "macros",
    "agent_management",
    "team_management",
    "inbox_management",
    "labels",
    "custom_attributes",
    "automations",
    "canned_responses",
    "integrations",
    "voice_recorder",
    "channel_website",
    "campaigns",
    "reports",
    "crm",
    "auto_resolve_conversations",
    "chatwoot_v4",
    "contact_chatwoot_support_team",
    "channel_instagram",
    "channel_tiktok",
)
"""What a fresh account of every release can do."""
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
    accounts = [_membership(call, int(key), role) for key, role in user.roles.items()]
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
        "inviter_id": None,
        "message_signature": None,
        "pubsub_token": user.pubsub_token,
        "ui_settings": {},
        "type": None,
    }


def _membership(call: Call, account_id: int, role: str) -> JSON:
    onboarding = {"onboarding_step": None} if call.store.version.tells_onboarding else {}
    return {
        "id": account_id,
        "name": call.store.accounts.get(account_id).name,
        "status": "active",
        "active_at": None,
        "role": role,
        "permissions": [role],
        "availability": "online",
        "availability_status": "offline",
        "auto_offline": True,
        "custom_role_id": None,
        "custom_role": None,
        **onboarding,
    }


def show_account(call: Call) -> JSON:
    account = call.account
    features = (*_FEATURES, *call.store.version.features, *account.features)
    return {
        "id": account.id,
        "name": account.name,
        "locale": "en",
        "status": "active",
        "domain": None,
        "support_email": None,
        "settings": {},
        "created_at": iso(account.created_at),
        "features": dict.fromkeys(features, True),
        "cache_keys": dict.fromkeys(("label", "inbox", "team"), "0000000000"),
        "latest_chatwoot_version": None,
        "subscribed_features": [],
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


def create_team(call: Call) -> JSON:
    """Names of teams are written small."""
    now = call.store.now()
    team = call.store.teams.add(
        account_id=call.account.id,
        name=call.parameters.text("name").lower(),
        created_at=now,
        updated_at=now,
    )
    return shapes.team(team)


def add_team_members(call: Call) -> list[JSON]:
    team = call.store.teams.get(as_id(call.path["team"]))
    users = [call.store.users.get(as_id(number)) for number in call.fields.get("user_ids") or []]
    team.member_ids = sorted({*team.member_ids, *(user.id for user in users)})
    return [shapes.agent(user, call.account.id) for user in users]


def list_team_members(call: Call) -> list[JSON]:
    team = call.store.teams.get(int(call.path["team"]))
    members = (call.store.users.get(number) for number in team.member_ids)
    return [shapes.agent(user, call.account.id) for user in members]


def list_labels(call: Call) -> JSON:
    numbered = enumerate(call.account.labels, start=1)
    return {"payload": [_label(number, title) for number, title in numbered]}


def create_label(call: Call) -> JSON:
    """Titles of labels are written small."""
    labels = call.account.labels
    labels.append(call.parameters.text("title").lower())
    return _label(len(labels), labels[-1])


def _label(number: int, title: str) -> JSON:
    return {
        "id": number,
        "title": title,
        "description": None,
        "color": "#1f93ff",
        "show_on_sidebar": True,
    }


ROUTES = (
    Route("GET", "/api", Access.ANYBODY, show_version),
    Route("GET", "/api/v1/profile", Access.USER, show_profile),
    Route("GET", "/api/v1/accounts/{account}", Access.USER, show_account),
    Route("GET", "/api/v1/accounts/{account}/agents", Access.USER, list_agents),
    Route("GET", "/api/v1/accounts/{account}/teams", Access.USER, list_teams),
    Route("POST", "/api/v1/accounts/{account}/teams", Access.ADMINISTRATOR, create_team),
    Route("POST", _TEAM + "/team_members", Access.ADMINISTRATOR, add_team_members),
    Route("GET", _TEAM + "/team_members", Access.USER, list_team_members),
    Route("GET", "/api/v1/accounts/{account}/labels", Access.USER, list_labels),
    Route("POST", "/api/v1/accounts/{account}/labels", Access.ADMINISTRATOR, create_label),
)
