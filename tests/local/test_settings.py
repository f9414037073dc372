"""What may be said to the local stack."""

import pytest

from local.settings import CLIENT_KEY, Settings, read_port, with_version


@pytest.mark.parametrize(
    ("environ", "upstream", "key"),
    [
        ({}, None, None),
        ({"ABLIT_KEY": "k"}, "https://api.abliteration.ai/v1", "k"),
        ({"ABLITERATION_API_KEY": "k"}, "https://api.abliteration.ai/v1", "k"),
        ({"UPSTREAM_BASE_URL": "http://h", "ABLIT_KEY": "k"}, "http://h/v1", "k"),
        ({"UPSTREAM_BASE_URL": "http://h/v1/"}, "http://h/v1", "no-key-was-given"),
    ],
)
def test_the_environment_says_which_provider_is_called(
    environ: dict[str, str], upstream: str | None, key: str | None
) -> None:
    settings = Settings.from_env(environ)
    assert (settings.upstream_url, settings.provider_key) == (upstream, key)
    assert (settings.port, settings.client_key) == (8080, CLIENT_KEY)


@pytest.mark.parametrize("text", ["x", "-1", "65536", "8080x"])
def test_a_port_that_is_none_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="make run"):
        read_port(text)


def test_a_base_url_ends_in_the_version_once() -> None:
    assert with_version("http://h/api") == with_version("http://h/api/v1/") == "http://h/api/v1"


def test_the_authorizer_s_memory_may_be_set_and_is_else_the_template_s() -> None:
    assert Settings.from_env({}).authorizer_ttl_seconds is None
    assert Settings.from_env({"AUTHORIZER_TTL_SECONDS": "0"}).authorizer_ttl_seconds == 0
    with pytest.raises(ValueError, match="like 300"):
        Settings.from_env({"AUTHORIZER_TTL_SECONDS": "soon"})
