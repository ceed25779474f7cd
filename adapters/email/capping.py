"""Headers are cut while a mail is parsed: the library reads some in quadratic time."""

from __future__ import annotations

from email.policy import Compat32

LONGEST_HEADER = 32_000
"""Characters: a thousand addresses, or hundreds of references."""
LONGEST_PARAMETERS = 4000
"""Characters of a header with parameters, which tells of content."""


class Capped(Compat32):
    """The policy for mails of strangers."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        most = LONGEST_PARAMETERS if name.lower().startswith("content-") else LONGEST_HEADER
        return name, value[:most]


CAPPED = Capped()
