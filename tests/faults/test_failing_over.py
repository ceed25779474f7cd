"""`make faults SENTINELS=1`, for half a minute: the primary dies with everything else."""

from __future__ import annotations

from pathlib import Path

from faults.run import Plan, run


def test_the_promise_is_kept_when_the_primary_is_killed(tmp_path: Path) -> None:
    outcome = run(Plan(300, 10, 2, seed="4", folder=tmp_path, sentinels=True))
    assert outcome.good, (outcome.line, outcome.remarks, outcome.troubled)
    [remark] = [each for each in outcome.remarks if each.startswith("primaries killed")]
    assert "fail-overs: 0" not in remark
