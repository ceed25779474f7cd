"""Who may be given a conversation: the team or agent that somebody has named."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.chatwoot.admin import Agent, Team


def team_called(teams: Iterable[Team], wanted: int | str) -> Team | None:
    """The team with this number or name, in upper or lower case; None if it does not exist."""
    for team in teams:
        if wanted == team.id or (
            isinstance(wanted, str) and team.name.casefold() == wanted.casefold()
        ):
            return team
    return None


def agent_called(agents: Iterable[Agent], wanted: int | str) -> Agent | None:
    """The agent with this number or e-mail address; None if it does not exist."""
    for agent in agents:
        if wanted == agent.id or (
            isinstance(wanted, str) and agent.email.casefold() == wanted.casefold()
        ):
            return agent
    return None
