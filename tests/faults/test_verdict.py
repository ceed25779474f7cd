"""The verdict of `make faults`, on made-up histories: it must be able to say no."""

from __future__ import annotations

from math import inf

import pytest

from faults.verdict import Fed, History, Verdict, judge, judge_all

SETTLE = 0.25


def history(
    *arrived: int,
    told: dict[int, float] | None = None,
    owed: set[int] | None = None,
    excused: set[int] | None = None,
    found_again: set[int] | None = None,
) -> History:
    """Messages 1 to 5, each told of a second after the one before unless `told` says otherwise,
    and acknowledged at once."""
    times = {number: float(number) for number in range(1, 6)} | (told or {})
    return History(
        "out:plain:ann",
        {number: Fed(number * 1.0 if at == inf else at, at) for number, at in times.items()},
        arrived,
        owed=frozenset(range(1, 6) if owed is None else owed),
        excused=frozenset(excused or ()),
        found_again=frozenset(found_again or ()),
        settle=SETTLE,
    )


def test_all_in_order_is_fine() -> None:
    assert judge(history(1, 2, 3, 4, 5)) == Verdict()


def test_what_is_owed_and_did_not_come_is_lost() -> None:
    found = judge(history(1, 3, 5))
    assert found == Verdict(lost=2)
    assert [words.partition(";")[0] for words in found.told] == [
        "lost: out:plain:ann number 2",
        "lost: out:plain:ann number 4",
    ]


def test_what_the_gateway_never_said_it_had_is_not_owed() -> None:
    assert judge(history(1, 2, 4, 5, owed={1, 2, 4, 5})) == Verdict()


def test_twice_is_doubled_however_often() -> None:
    assert judge(history(1, 2, 2, 2, 3, 4, 5, 5)) == Verdict(doubled=2)


def test_a_double_is_excused_only_for_the_very_message_that_was_uncertain() -> None:
    assert judge(history(1, 2, 2, 3, 3, 4, 5, excused={2})) == Verdict(doubled=1, repeated=1)


def test_being_uncertain_excuses_neither_loss_nor_disorder() -> None:
    assert judge(history(1, 3, 2, 5, excused={2, 4})) == Verdict(lost=1, reordered=1)


def test_one_that_came_after_a_younger_one_is_reordered() -> None:
    assert judge(history(1, 3, 2, 4, 5)) == Verdict(reordered=1)


def test_of_a_double_only_its_first_arrival_counts_for_the_order() -> None:
    assert judge(history(1, 2, 3, 2, 4, 5, excused={2})) == Verdict(repeated=1)
    assert judge(history(1, 3, 2, 3, 4, 5, excused={3})) == Verdict(reordered=1, repeated=1)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (3.0 + SETTLE, Verdict(reordered=1)),
        (3.0 + SETTLE + 0.001, Verdict(late=1)),
        (inf, Verdict(late=1)),
    ],
)
def test_an_older_one_told_of_within_the_settle_time_goes_first_and_later_it_is_late(
    told: float, expected: Verdict
) -> None:
    """Number 2 came after 3, of which the gateway had been told at 3.0."""
    assert judge(history(1, 3, 2, 4, 5, told={2: told})) == expected


def test_one_overtaken_by_several_counts_once_and_any_of_them_can_be_the_wrong() -> None:
    # Told at 4.1: late beside 3, but 4 had to wait for it.
    assert judge(history(1, 3, 4, 2, 5, told={2: 4.1})) == Verdict(reordered=1)


def test_one_that_a_fail_over_lost_and_a_look_found_again_may_come_after_younger_ones() -> None:
    found = judge(history(1, 3, 2, 5, 4, found_again={2}))
    assert found == Verdict(reordered=1, not_replicated=1)
    assert [words.partition(";")[0] for words in found.told] == [
        "reordered: out:plain:ann number 4",
        "not replicated: out:plain:ann number 2",
    ]


def test_one_that_was_found_again_in_time_is_as_any_other() -> None:
    assert judge(history(1, 2, 3, 4, 5, found_again={2})) == Verdict()
    assert judge(history(1, 2, 2, 3, 5, found_again={2, 4})) == Verdict(lost=1, doubled=1)


def test_streams_do_not_mix_and_add_up() -> None:
    found = judge_all([history(1, 2, 3, 4), history(1, 2, 3, 4, 5, 5), history(2, 1, 3, 4, 5)])
    assert found == Verdict(lost=1, doubled=1, reordered=1)
    assert len(found.told) == 3
