"""The JSON of inboxes: the full view, the slim one inside contacts, and the bare database row."""

from __future__ import annotations

from sandbox.chatwoot.records import JSON, Inbox
from sandbox.chatwoot.times import iso

DEFAULTS: JSON = {
    "greeting_enabled": False,
    "greeting_message": None,
    "working_hours_enabled": False,
    "enable_email_collect": True,
    "csat_survey_enabled": False,
    "csat_config": {},
    "enable_auto_assignment": True,
    "auto_assignment_config": {},
    "out_of_office_message": None,
    "timezone": "UTC",
    "allow_messages_after_resolved": True,
    "sender_name_type": "friendly",
    "business_name": None,
}
_OF_OTHER_CHANNELS = (
    "allowed_domains",
    "widget_color",
    "website_url",
    "welcome_title",
    "welcome_tagline",
    "web_widget_script",
    "website_token",
    "selected_feature_flags",
    "reply_time",
    "messaging_service_sid",
    "phone_number",
    "provider",
)


def inbox_slim(row: Inbox) -> JSON:
    return {
        "id": row.id,
        "avatar_url": "",
        "channel_id": row.channel_id,
        "name": row.name,
        "channel_type": row.channel_type,
        "provider": None,
    }


def inbox(row: Inbox) -> JSON:
    """What everybody with access sees (_inbox.json.jbuilder)."""
    return {
        **dict.fromkeys(_OF_OTHER_CHANNELS),
        **inbox_slim(row),
        **DEFAULTS,
        **row.settings,
        "working_hours": working_week(),
        "callback_webhook_url": None,
        "lock_to_single_conversation": row.lock_to_single_conversation,
        "hmac_mandatory": row.hmac_mandatory,
        "webhook_url": row.webhook_url,
        "inbox_identifier": row.identifier,
        "additional_attributes": row.additional_attributes,
    }


def inbox_row(row: Inbox) -> JSON:
    """The bare row, as the answer to a new contact has it."""
    return {
        "id": row.id,
        "channel_id": row.channel_id,
        "account_id": row.account_id,
        "name": row.name,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "channel_type": row.channel_type,
        **DEFAULTS,
        **row.settings,
        "email_address": None,
        "lock_to_single_conversation": row.lock_to_single_conversation,
        "portal_id": None,
    }


def working_week() -> list[JSON]:
    return [_working_hours(day) for day in range(7)]


def _working_hours(day: int) -> JSON:
    weekend = day in {0, 6}
    hours = (None, None, None, None) if weekend else (9, 0, 17, 0)
    names = ("open_hour", "open_minutes", "close_hour", "close_minutes")
    return {
        "day_of_week": day,
        "closed_all_day": weekend,
        **dict(zip(names, hours, strict=True)),
        "open_all_day": False,
    }
