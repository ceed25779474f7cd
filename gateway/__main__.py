"""`python -m gateway`, and `gateway` where the package is installed."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from gateway.cli import main

NO_INBOX = 10**9
"""Numbers from here on stand for inboxes that have only a name yet."""


def print_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print neither a secret, nor a stack trace that was not asked for."""
    redact = _redactor()
    if os.environ.get("GATEWAY_DEBUG") == "1":
        print(redact("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr)
    else:
        print(redact(f"gateway: internal error: {kind.__name__}: {error}"), file=sys.stderr)
        print("Set GATEWAY_DEBUG=1 to see where, and please report it.", file=sys.stderr)


def _redactor() -> Callable[[str], str]:
    """Hides the secrets of the settings. Settings that cannot be read cannot be printed either."""
    try:
        from gateway.commands.settings import config_path
        from gateway.config import load, named_inboxes
        from gateway.observability.logs import Redactor

        unnumbered = named_inboxes(config_path(), os.environ)
        inboxes = {name: NO_INBOX + n for n, name in enumerate(unnumbered)}
        return Redactor(load(config_path(), os.environ, inboxes=inboxes).secret_values())
    except Exception:  # noqa: BLE001 (the very fault that is being printed may come up here again)
        return str


def start() -> NoReturn:
    """Carry out what was typed, and end the process with its exit status."""
    sys.excepthook = print_fault
    here = str(Path.cwd())
    if here not in sys.path:
        # As `python -m` does: both find the same adapters.
        sys.path.insert(0, here)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    start()
