"""What a batch may be made of."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.batch.api.checks import check_batch
from llm_relay.core.errors import BadRequest

GOOD: dict[str, Any] = {
    "input_file_id": "file-1",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}
EXPIRY = {"anchor": "created_at", "seconds": 3600}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"endpoint": "/v1/responses"},
        {"metadata": None, "output_expires_after": None},
        {"metadata": {}},
        {"metadata": {str(number).rjust(64): "x" * 512 for number in range(16)}},
        {"output_expires_after": EXPIRY},
        {"output_expires_after": EXPIRY | {"seconds": 2_592_000}},
        {"a_field_of_tomorrow": [1]},
    ],
)
def test_a_good_batch_passes(more: dict[str, Any]) -> None:
    check_batch(GOOD | more)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": ["file-1"]}, "input_file_id"),
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"endpoint": "/chat/completions"}, "endpoint"),
        ({"completion_window": None}, "completion_window"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"completion_window": 24}, "completion_window"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: "x"}}, "metadata"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"metadata": {"k": "x" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"output_expires_after": 3600}, "output_expires_after"),
        ({"output_expires_after": EXPIRY | {"anchor": "now"}}, "output_expires_after"),
        ({"output_expires_after": EXPIRY | {"seconds": 3599}}, "output_expires_after.seconds"),
        ({"output_expires_after": EXPIRY | {"seconds": 2592001}}, "output_expires_after.seconds"),
        ({"output_expires_after": EXPIRY | {"seconds": True}}, "output_expires_after.seconds"),
        ({"output_expires_after": EXPIRY | {"seconds": 3600.0}}, "output_expires_after.seconds"),
    ],
)
def test_a_bad_batch_is_refused_by_the_name_of_its_field(more: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_batch(GOOD | more)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("metadata", "param"), [({"a\ud800": "x"}, "metadata"), ({"k": "a\udfff"}, "metadata.k")]
)
def test_an_unpaired_surrogate_is_named_in_the_error(metadata: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequest, match=r"an unpaired surrogate \(\\u(d800|dfff)\)") as refused:
        check_batch(GOOD | {"metadata": metadata})
    assert refused.value.param == param
