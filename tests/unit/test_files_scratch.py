from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateway.files.scratch import Scratch

DIES = """
import os, sys
from pathlib import Path
from gateway.files.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.path / "left").write_text("behind")
print(scratch.path, flush=True)
os._exit(9)
"""


def test_what_is_in_the_room_is_gone_afterwards(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.room() as room:
        (room / "file").write_bytes(b"x")
        assert oct(scratch.path.stat().st_mode)[-3:] == "700"
    assert list(scratch.path.iterdir()) == []
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_the_living_are_not(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=30,
    )
    left = Path(run.stdout.strip())
    assert (left / "left").exists(), run.stderr
    another = Scratch(tmp_path)
    assert not left.exists()
    assert living.path.exists()
    another.close()
    living.close()
