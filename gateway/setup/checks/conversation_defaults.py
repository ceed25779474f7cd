"""Checks that what a channel's conversations begin with exists in Chatwoot."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.adapter import Finding
from gateway.chatwoot.admin import Agent, Team
from gateway.chatwoot.assignees import agent_called, team_called
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.config import Channel

ADMINISTRATOR = "administrator"


def look_at_conversation_defaults(channel: Channel, chatwoot: Chatwoot) -> Iterator[Finding]:
    """Only what is configured. Raises a `DeliveryError` if Chatwoot does not answer."""
    defaults = channel.config.conversation_defaults
    team = None
    if defaults.team is not None:
        teams = chatwoot.admin.teams()
        team = team_called(teams, defaults.team)
        yield _team(channel, defaults.team, team, teams)
    if defaults.assignee is not None:
        yield _assignee(channel, defaults.assignee, team, chatwoot)
    if defaults.labels:
        yield _labels(defaults.labels, chatwoot)


def _team(
    channel: Channel, wanted: int | str, team: Team | None, teams: tuple[Team, ...]
) -> Finding:
    if team is not None:
        return Finding.good("team", f"conversations begin with the team «{team.name}»")
    names = ", ".join(f"«{each.name}»" for each in teams)
    known = f" Known teams: {names}." if names else ""
    return Finding.bad(
        "team",
        f"the account has no team «{wanted}»: conversations begin without one",
        f"Create it in Chatwoot (Settings, Teams), or correct {_key(channel, 'team')}.{known}",
    )


def _assignee(
    channel: Channel, wanted: int | str, team: Team | None, chatwoot: Chatwoot
) -> Finding:
    agent = agent_called(chatwoot.admin.agents(), wanted)
    if agent is None:
        return Finding.bad(
            "assignee",
            f"the account has no agent «{wanted}»: conversations begin without one",
            f"Invite them in Chatwoot (Settings, Agents), or correct {_key(channel, 'assignee')}.",
        )
    if not _sees(agent, channel.config.inbox, chatwoot):
        return Finding.bad(
            "assignee",
            f"{_name(agent)} is not an agent of the inbox, and does not see its conversations",
            f"Run `python -m gateway setup --agents {agent.email}`, or add them in Chatwoot "
            "(Settings, Inboxes, Collaborators).",
        )
    if team is not None and agent not in chatwoot.admin.team_members(team.id):
        return Finding.bad(
            "assignee",
            f"{_name(agent)} is not in the team «{team.name}»: Chatwoot unassigns them",
            "Add them to the team in Chatwoot (Settings, Teams), or name only one of the two.",
        )
    return Finding.good("assignee", f"conversations begin as those of {_name(agent)}")


def _sees(agent: Agent, inbox: int, chatwoot: Chatwoot) -> bool:
    try:
        return agent.role == ADMINISTRATOR or agent in chatwoot.admin.members(inbox)
    except Missing:
        return True  # the missing inbox has a finding of its own


def _labels(labels: tuple[str, ...], chatwoot: Chatwoot) -> Finding:
    known = {title.lower() for title in chatwoot.admin.labels()}
    if unknown := [label for label in labels if label not in known]:
        return Finding.note(
            "labels",
            f"the account has no label {', '.join(unknown)}: agents do not see it",
            "Create it in Chatwoot (Settings, Labels).",
        )
    return Finding.good("labels", f"conversations begin with {', '.join(labels)}")


def _name(agent: Agent) -> str:
    return agent.name or agent.email


def _key(channel: Channel, name: str) -> str:
    return f"[channels.{channel.name}.conversation_defaults] {name}"
