"""What `make faults` has written down, read again."""

from __future__ import annotations

from math import inf
from pathlib import Path

from faults.notes import Message, Notes
from faults.verdict import Fed

ONE, TWO = Message("out:plain:ann/1", 1), Message("out:plain:ann/1", 2)
OTHER = Message("in:plain:ann", 1)


def test_each_stream_has_its_times_and_its_arrivals_in_order(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    notes.note_fed(ONE, 1.0)
    notes.note_fed(TWO, 2.0)
    notes.note_fed(OTHER, 3.0)
    notes.note_told(TWO, 2.5)
    notes.note_arrived(TWO, "o:plain:8#1")
    notes.note_arrived(ONE, "o:plain:7#1")
    found = notes.streams()
    assert found[ONE.stream].fed == {1: Fed(1.0, inf), 2: Fed(2.0, 2.5)}
    assert found[ONE.stream].arrived == [(2, "o:plain:8#1"), (1, "o:plain:7#1")]
    assert (found[OTHER.stream].fed, found[OTHER.stream].arrived) == ({1: Fed(3.0, inf)}, [])


def test_the_first_attempt_to_tell_counts_and_the_first_answer(tmp_path: Path) -> None:
    """A webhook that comes twice must not move the times to where they excuse more."""
    notes = Notes(tmp_path / "notes")
    notes.note_fed(ONE, 1.0)
    notes.note_begun(ONE, 1.2)
    notes.note_begun(ONE, 5.0)
    notes.note_told(ONE, 1.3)
    notes.note_told(ONE, 5.1)
    assert notes.streams()[ONE.stream].fed == {1: Fed(1.2, 1.3)}
