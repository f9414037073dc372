"""No bytes break what takes them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.core.errors import ProviderKeyMissing
from llm_relay.providers.key_pool import keys_in
from tests.fuzz.parsers import CUTS, PARSERS
from tests.fuzz.seeds import SEEDS, WORDS
from tests.fuzz.tally import TRIED

PIECES = st.sampled_from(WORDS) | st.binary(max_size=4)
EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9), PIECES), max_size=6)


def spoilt(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """A text in which some bytes gave way to others."""
    for place, length, piece in edits:
        at = place % (len(seed) + 1)
        seed = seed[:at] + piece + seed[at + length :]
    return seed


TEXTS = st.builds(spoilt, st.sampled_from(SEEDS), EDITS) | st.lists(PIECES).map(b"".join)


@pytest.mark.parametrize("name", PARSERS)
def test_parser_invariants_hold_for_any_bytes(name: str) -> None:
    @given(cuts=st.just(b"") | st.binary(min_size=CUTS, max_size=CUTS), text=TEXTS)
    def hold(cuts: bytes, text: bytes) -> None:
        TRIED[f"texts for {name}"] += 1
        PARSERS[name](cuts + text)

    hold()


def test_a_secret_that_is_nested_too_deeply_holds_no_key() -> None:
    with pytest.raises(ProviderKeyMissing):
        keys_in('{"api_key":' + "[" * 100_000)
