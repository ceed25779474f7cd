"""`python -m gateway`."""

import os
import sys
from types import TracebackType

from gateway.cli import main


def _say_it_plainly(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """No user is shown a stack trace that was not asked for."""
    if os.environ.get("GATEWAY_DEBUG") == "1":
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"gateway: a fault of its own: {kind.__name__}: {error}", file=sys.stderr)
        print("GATEWAY_DEBUG=1 shows where. Please report it.", file=sys.stderr)


if __name__ == "__main__":
    sys.excepthook = _say_it_plainly
    sys.exit(main(sys.argv[1:]))
