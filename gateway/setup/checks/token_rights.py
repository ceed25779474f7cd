"""Whether a token may do what the gateway needs: it must be an administrator's."""

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


def administrator(account: ChatwootAccount, chatwoot: Chatwoot) -> Rights:
    """Ask Chatwoot whose token it is. Raises nothing: what goes wrong is a finding."""
    how = HOW.format(account=account.account, name=account.name)
    try:
        profile = chatwoot.profile()
    except BadCredentials as error:
        return _refused("token", error.reason, how)
    except DeliveryError as error:
        where = f"Look whether {account.api_url} is right, and whether Chatwoot runs."
        return _refused("reachable", error.reason, where)
    role = profile.roles.get(account.account)
    if role == "administrator":
        good = Finding.good("token", f"«{profile.name}» is an administrator")
        return Rights(True, (good,))
    if role is None:
        where = f"{account.account} is no account of «{profile.name}», whose token this is"
        return _refused("account", where, f"Mend [chatwoot.{account.name}] account. Or: {how}")
    wrong = f"«{profile.name}», whose token this is, is no administrator but {role}"
    return _refused("token", wrong, how)


def _refused(check: str, text: str, cure: str) -> Rights:
    return Rights(False, (Finding.bad(check, text, cure),))
