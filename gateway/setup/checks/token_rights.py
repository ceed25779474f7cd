"""Checks that a token belongs to an administrator, as the gateway needs."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapter import Finding
from gateway.chatwoot.client import Chatwoot
from gateway.config import ChatwootAccount
from gateway.errors import BadCredentials, DeliveryError

HOW = (
    "Log in to Chatwoot as an administrator of account {account}, open Profile settings, copy the "
    "access token at the bottom, and set it as [chatwoot.{name}] token."
)


@dataclass(frozen=True, slots=True)
class Rights:
    """`granted`: the user of the token is an administrator of the account."""

    granted: bool
    findings: tuple[Finding, ...]


def find_rights(account: ChatwootAccount, chatwoot: Chatwoot) -> Rights:
    """Ask Chatwoot whose token it is. Raises nothing: a failure is a finding."""
    how = HOW.format(account=account.account, name=account.name)
    try:
        profile = chatwoot.profile()
    except BadCredentials as error:
        return _refused("token", error.reason, how)
    except DeliveryError as error:
        where = f"Check that {account.api_url} is right, and that Chatwoot runs."
        return _refused("reachable", error.reason, where)
    role = profile.roles.get(account.account)
    if role == "administrator":
        good = Finding.good("token", f"«{profile.name}» is an administrator")
        return Rights(True, (good,))
    if role is None:
        where = f"the token's user «{profile.name}» does not belong to account {account.account}"
        cure = f"Correct [chatwoot.{account.name}] account. Or: {how}"
        return _refused("account", where, cure)
    wrong = f"the token's user «{profile.name}» has the role {role}, not administrator"
    return _refused("token", wrong, how)


def _refused(check: str, text: str, cure: str) -> Rights:
    return Rights(False, (Finding.bad(check, text, cure),))
