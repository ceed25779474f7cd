"""Keeping a contact as the network tells of the person, without undoing what an agent wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Final

from gateway.chatwoot.api import Json
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Invalid
from gateway.chatwoot.values import PROFILES, Contact
from gateway.lanes.route import Route
from gateway.model import Inbound

LONGEST_FIELD: Final = 255


def name_of(inbound: Inbound) -> str:
    """The name that agents see: never empty."""
    person = inbound.person
    names = (person.name, person.username, person.phone, person.email, inbound.peer)
    return next((name.strip() for name in names if name.strip()), "?")[:LONGEST_FIELD]


def attributes_of(inbound: Inbound) -> dict[str, Json]:
    """What a contact's additional attributes say of the person, by Chatwoot's own names."""
    person = inbound.person
    told: dict[str, Json] = {
        "username": person.username,
        "language_code": person.language,
        "city": person.city,
        "country": person.country,
        "country_code": person.country_code,
        "company_name": person.company,
        "description": person.description,
        PROFILES: dict(person.profiles),
    }
    return {name: value for name, value in {**told, **inbound.attributes}.items() if value}


def identifier_of(inbound: Inbound) -> str:
    """What the contact is called for ever; empty if the network has none, or a longer one than
    Chatwoot takes."""
    identifier = inbound.person.identifier
    return identifier if len(identifier) <= LONGEST_FIELD else ""


def fingerprint(inbound: Inbound) -> str:
    """Another text whenever the network tells something else of them; empty if it tells nothing."""
    told = {**asdict(inbound.person), **inbound.attributes}
    if not any(told.values()):
        return ""
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def update_contact(chatwoot: Chatwoot, contact: Contact, inbound: Inbound, route: Route) -> None:
    """Write to the contact what has changed; no call if nothing has.

    `route`: what we remember to have written: the name, which we may replace, and the identifier,
    which is given once. Raises a `DeliveryError`.
    """
    name = _new_name(contact, inbound, route.name or "")
    identifier = _new_identifier(contact, inbound, route.identifier or "")
    shown = {**contact.attributes, PROFILES: contact.profiles}
    attributes = {
        key: value
        for key, value in _with_their_profiles(contact, attributes_of(inbound)).items()
        if shown.get(key) != value
    }
    if not (name or attributes or identifier):
        return
    try:
        chatwoot.update_contact(contact.id, name=name, attributes=attributes, identifier=identifier)
    except Invalid as refused:
        if refused.attributes != ("identifier",):
            raise
        # An agent has given it to another contact, and knows why.
        if name or attributes:
            chatwoot.update_contact(contact.id, name=name, attributes=attributes)


def _with_their_profiles(contact: Contact, told: dict[str, Json]) -> dict[str, Json]:
    """`told`, with the profiles that an agent filled in beside it: Chatwoot replaces them all."""
    profiles = told.get(PROFILES)
    if not isinstance(profiles, Mapping):
        return told
    return {**told, PROFILES: {**contact.profiles, **profiles}}


def _new_name(contact: Contact, inbound: Inbound, written: str) -> str:
    """The network's name for the person; empty if Chatwoot shows it, or one that an agent chose."""
    person = inbound.person
    name = (person.name.strip() or person.username.strip())[:LONGEST_FIELD]
    stand_ins = {"", "?", written, person.username, person.phone, person.email, inbound.peer}
    return name if name != contact.name and contact.name in stand_ins else ""


def _new_identifier(contact: Contact, inbound: Inbound, written: str) -> str:
    """For a contact that has none, unless it had this one and an agent took it away."""
    identifier = identifier_of(inbound)
    return identifier if identifier != written and not contact.identifier else ""


def written_fields(inbound: Inbound, before: Route) -> Route:
    """What to remember of the person with the lane, once their contact is up to date."""
    person = inbound.person
    is_named = person.name.strip() or person.username.strip() or not before.name
    return Route(
        person=fingerprint(inbound),
        name=name_of(inbound) if is_named else before.name,
        identifier=identifier_of(inbound) or None,
    )
