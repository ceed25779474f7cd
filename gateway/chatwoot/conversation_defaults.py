"""How the conversations of a channel begin: the table [channels.NAME.conversation_defaults].

The words are Chatwoot's own (`app/models/conversation.rb`, `label.rb`); what it would refuse is
refused here, where somebody reads it, and not when a customer writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gateway.one_or_several import one_or_several

LONGEST_VALUE: Final = 1_500
LARGEST_VALUE: Final = 9_999_999_999
"""Of custom attributes: `app/validators/jsonb_attributes_length_validator.rb`."""

_LABEL = re.compile(r"[^\W_]+[\w-]+")

Priority: TypeAlias = Literal["low", "medium", "high", "urgent"]
Value: TypeAlias = str | bool | int | float


def _labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """As Chatwoot keeps their titles: in small letters."""
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"«{label}» is not a valid label: use letters, digits, hyphens and underscores"
            )
    return tuple(dict.fromkeys(label.lower() for label in labels))


def _number_or_name(value: object) -> int | str:
    """What comes from the environment is a text, also where it is a number."""
    text = str(value).strip() if type(value) in {int, str} else ""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    if text and isinstance(value, str):
        return text
    raise ValueError("must be a number above 0, or a text in quotes")


def _number_or_email(value: int | str) -> int | str:
    if isinstance(value, str) and "@" not in value:
        raise ValueError("must be an agent's number or e-mail address")
    return value


def _attributes(values: Mapping[str, Any]) -> Mapping[str, Value]:
    for key, value in values.items():
        if wrong := _wrong_with(value):
            raise ValueError(f"«{key}» {wrong}")
    return values


def _wrong_with(value: object) -> str:
    if not isinstance(value, (str, bool, int, float)):
        return "must be a text, a number, true or false"
    if isinstance(value, str):
        too_long = len(value) > LONGEST_VALUE
        return f"must have at most {LONGEST_VALUE} characters" if too_long else ""
    too_large = not math.isfinite(value) or abs(value) > LARGEST_VALUE
    return "is too large a number for Chatwoot: write it as a text" if too_large else ""


Labels = Annotated[tuple[str, ...], BeforeValidator(one_or_several), AfterValidator(_labels)]
NumberOrName = Annotated[int | str, BeforeValidator(_number_or_name)]
NumberOrEmail = Annotated[NumberOrName, AfterValidator(_number_or_email)]
Attributes = Annotated[Mapping[str, Any], AfterValidator(_attributes)]


class ConversationDefaults(BaseModel):
    """What a conversation is given when it begins, and never again. All of it is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Labels = Field(
        default=(), description="one label, or a list; make them in Chatwoot's settings too"
    )
    team: NumberOrName | None = Field(default=None, description="the name or number of a team")
    assignee: NumberOrEmail | None = Field(
        default=None, description="the e-mail address or number of an agent"
    )
    priority: Priority | None = Field(
        default=None, description='"low", "medium", "high" or "urgent"'
    )
    status: Literal["open", "pending"] | None = Field(
        default=None,
        description='"open", or "pending" until somebody opens it; the customer\'s first message '
        "opens any other",
    )
    custom_attributes: Attributes = Field(
        default={}, description='a table of the conversation\'s attributes: { plan = "gold" }'
    )
