"""How long files may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.batch.model.record import retention_seconds

if TYPE_CHECKING:
    import pytest

DAY = 86_400


def test_a_file_s_expiry_is_at_most_the_bucket_s_retention(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTENT_RETENTION_DAYS", "7")
    assert retention_seconds() == 7 * DAY
    assert retention_seconds(3600) == 3600
    assert retention_seconds(30 * DAY) == 7 * DAY
    assert retention_seconds(days=3) == 3 * DAY
