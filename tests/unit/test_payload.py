"""JSON from strangers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.payload import read_json


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\uDE00\ud83d"', "\ufffd\ufffd"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (rb'"\\ud83d"', r"\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'{"\udc00": 1}', {"\ufffd": 1}),
        (b"\xef\xbb\xbf1", 1),
    ],
)
def test_half_a_pair_becomes_a_character_that_can_be_stored(body: bytes, meant: object) -> None:
    assert read_json(body) == meant


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b'"\xed\xa0\xbd"']
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON"):
        read_json(body)


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_what_is_whole_comes_out_as_it_went_in(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value
