"""`python -m gateway`."""

import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType

from gateway.cli import config_path, main
from gateway.config import load
from gateway.config.reading import named_inboxes
from gateway.observability.logs import Redactor

NO_INBOX = 10**9
"""Numbers from here on stand for inboxes that have only a name yet."""


def _say_it_plainly(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """No user is shown a stack trace that was not asked for, nor a secret."""
    redact = _redactor()
    if os.environ.get("GATEWAY_DEBUG") == "1":
        print(redact("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr)
    else:
        print(redact(f"gateway: a fault of its own: {kind.__name__}: {error}"), file=sys.stderr)
        print("GATEWAY_DEBUG=1 shows where. Please report it.", file=sys.stderr)


def _redactor() -> Callable[[str], str]:
    """For what the settings have; where they cannot be read they cannot be told either."""
    try:
        unnumbered = named_inboxes(config_path(), os.environ)
        inboxes = {name: NO_INBOX + n for n, name in enumerate(unnumbered)}
        return Redactor(load(config_path(), os.environ, inboxes=inboxes).secret_values())
    except Exception:  # noqa: BLE001 (the very fault that is to be told may be met here again)
        return str


if __name__ == "__main__":
    sys.excepthook = _say_it_plainly
    sys.exit(main(sys.argv[1:]))
