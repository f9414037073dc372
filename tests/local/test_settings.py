"""What may be said to the local stack."""

import json

import pytest

from local.settings import (
    CLIENT_KEY,
    CLIENT_KEY_FORM,
    ROOT,
    Settings,
    read_port,
)


@pytest.mark.parametrize(
    ("environ", "upstream", "key"),
    [
        ({}, None, None),
        ({"ABLIT_KEY": "k"}, "https://api.abliteration.ai/v1", "k"),
        ({"ABLITERATION_API_KEY": "k"}, "https://api.abliteration.ai/v1", "k"),
        ({"UPSTREAM_BASE_URL": "http://h", "ABLIT_KEY": "k"}, "http://h", "k"),
        ({"UPSTREAM_BASE_URL": "http://h/v1/"}, "http://h/v1/", "no-key-was-given"),
    ],
)
def test_the_environment_selects_the_provider(
    environ: dict[str, str], upstream: str | None, key: str | None
) -> None:
    settings = Settings.from_env(environ)
    assert (settings.upstream_url, settings.provider_key) == (upstream, key)
    assert (settings.port, settings.client_key) == (8080, CLIENT_KEY)


@pytest.mark.parametrize("text", ["x", "-1", "65536", "8080x"])
def test_an_invalid_port_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="make run"):
        read_port(text)


def test_the_authorizer_cache_time_is_configurable_and_defaults_to_the_template_s() -> None:
    assert Settings.from_env({}).authorizer_ttl_seconds is None
    assert Settings.from_env({"AUTHORIZER_TTL_SECONDS": "0"}).authorizer_ttl_seconds == 0
    with pytest.raises(ValueError, match="AUTHORIZER_TTL_SECONDS=soon is not a whole number"):
        Settings.from_env({"AUTHORIZER_TTL_SECONDS": "soon"})


@pytest.mark.parametrize(("text", "pace"), [("", 60), ("5", 5), ("0", 0)])
def test_make_run_paces_streams_and_other_stacks_do_not(text: str, pace: int) -> None:
    environ = {"SIMULATOR_TOKENS_PER_SECOND": text}
    assert Settings.from_env(environ).tokens_per_second == pace
    assert Settings().tokens_per_second == 0


@pytest.mark.parametrize("text", ["fast", "-1", "0.5"])
def test_an_invalid_pace_is_refused_with_an_example(text: str) -> None:
    says = f"SIMULATOR_TOKENS_PER_SECOND={text} is not a whole number, like 60"
    with pytest.raises(ValueError, match=says):
        Settings.from_env({"SIMULATOR_TOKENS_PER_SECOND": text})


def test_a_provider_list_is_reported_by_its_names_without_the_account_s_secrets() -> None:
    listed = [{"name": "dead", "base_url": "http://a"}, {"name": "live", "base_url": "http://b"}]
    secret = {"secret_arn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:live"}
    settings = Settings.from_env({"PROVIDERS": json.dumps([listed[0], listed[1] | secret])})
    assert json.loads(str(settings.parameters["Providers"])) == listed
    assert settings.provider == "dead, live, from PROVIDERS"


@pytest.mark.parametrize(
    ("environ", "provider"),
    [({"UPSTREAM_BASE_URL": "http://h"}, "http://h"), ({"PROVIDERS": ""}, "the simulator")],
)
def test_without_a_list_the_only_provider_is_shown(environ: dict[str, str], provider: str) -> None:
    assert Settings.from_env(environ).provider.startswith(provider)


@pytest.mark.parametrize(
    ("text", "says"), [("[{", "not JSON: .*column 3"), ('{"name": "a"}', "array"), ("[1]", "array")]
)
def test_an_invalid_list_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Settings.from_env({"PROVIDERS": text})


def test_a_base_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="ABLIT_KEY") as refused:
        Settings.from_env({"UPSTREAM_BASE_URL": "https://user:hunter2@example.com/v1"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["foo", "ftp://h/v1", "https:///v1", "localhost:11434"])
def test_an_invalid_base_url_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=f"UPSTREAM_BASE_URL={url} is no URL"):
        Settings.from_env({"UPSTREAM_BASE_URL": url})


@pytest.mark.parametrize("key", ["short", "sk-with spaces in the middle", "x" * 129])
def test_a_client_key_that_the_authorizer_would_refuse_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValueError, match="RELAY_CLIENT_KEY must have 20 to 128 characters"):
        Settings.from_env({"RELAY_CLIENT_KEY": key})


def test_the_form_of_client_keys_is_the_template_s() -> None:
    pattern = f"^[Bb]earer +{CLIENT_KEY_FORM}$"
    assert f"ValidationExpression: {pattern}\n" in (ROOT / "template.yaml").read_text()


@pytest.mark.parametrize(
    ("environ", "is_other"),
    [
        ({}, False),
        ({"ABLIT_KEY": "k"}, False),
        ({"UPSTREAM_BASE_URL": "http://h"}, True),
        ({"UPSTREAM_BASE_URL": "http://h", "PROVIDERS": '[{"name": "a"}]'}, False),
    ],
)
def test_another_providers_models_are_unknown(environ: dict[str, str], is_other: bool) -> None:
    assert Settings.from_env(environ).is_other_provider is is_other
