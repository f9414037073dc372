"""What the environment says."""

from __future__ import annotations

import pytest

from llm_relay.providers.settings import ProviderSettings
from llm_relay.transport.settings import with_version


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.abliteration.ai", "https://api.abliteration.ai/v1"),
        ("https://api.abliteration.ai/", "https://api.abliteration.ai/v1"),
        ("https://api.abliteration.ai/v1", "https://api.abliteration.ai/v1"),
        ("https://api.abliteration.ai/v1/", "https://api.abliteration.ai/v1"),
        ("https://v1.example/openai", "https://v1.example/openai/v1"),
        ("https://example/v1beta/openai", "https://example/v1beta/openai"),
    ],
)
def test_a_base_url_gets_the_version_it_lacks(given: str, used: str) -> None:
    assert with_version(given) == used


@pytest.mark.parametrize("url", ["https://user:hunter2@example.com", "https://hunter2@example/v1"])
def test_a_base_url_with_a_user_or_password_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="the key goes into the secret") as refused:
        ProviderSettings.from_mapping({"UPSTREAM_BASE_URL": url})
    assert "hunter2" not in str(refused.value)


def test_the_settings_have_defaults_and_units() -> None:
    settings = ProviderSettings.from_mapping({"UPSTREAM_BASE_URL": "https://x"})
    assert settings.transport.base_url == "https://x/v1"
    assert settings.first_byte_seconds < 300  # API Gateway's idle timeout
    assert settings.max_attempts == 3
    assert settings.keep_alive_seconds == 15


def test_an_invalid_number_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="soon"):
        ProviderSettings.from_mapping({"UPSTREAM_BASE_URL": "x", "KEEP_ALIVE_SECONDS": "soon"})


def test_a_key_in_the_environment_is_not_even_read_outside_sam_local() -> None:
    environ = {"PROVIDER_KEY_SECRET_ARN": "arn", "ABLIT_KEY": "ak_x"}
    assert ProviderSettings.from_mapping(environ).key_for_sam_local is None
    local = ProviderSettings.from_mapping(environ | {"AWS_SAM_LOCAL": "true"})
    assert local.key_for_sam_local == "ak_x"
