"""template.yaml as the local stack reads it."""

from pathlib import Path

import pytest

from local.api_gateway.routes import Api, read_api
from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.template import Template
from local.cloudformation.translation import load
from local.settings import ROOT

UPSTREAM = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def template() -> Template:
    return load(ROOT / "template.yaml", {"UpstreamBaseUrl": UPSTREAM})


@pytest.fixture(scope="module")
def api(template: Template) -> Api:
    return read_api(template)


def test_a_function_knows_its_folder_its_layers_and_its_variables(template: Template) -> None:
    functions = {spec.logical_id: spec for spec in template.functions()}
    chat = functions["ChatCompletionsFunction"]
    assert chat.code == ROOT / "functions/chat_completions"
    assert chat.layers == (ROOT / "layers/dependencies", ROOT / "layers/llm_relay")
    assert chat.environment["UPSTREAM_BASE_URL"] == UPSTREAM
    assert chat.environment["PROVIDER_KEY_SECRET_ARN"].startswith("arn:aws:secretsmanager:")
    assert functions["HealthFunction"].layers == ()


def test_with_an_existing_secret_none_is_created() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:mine-abcdef"
    template = load(ROOT / "template.yaml", {"ProviderKeySecretArn": arn})
    assert not list(template.ids("AWS::SecretsManager::Secret"))
    chat = next(spec for spec in template.functions() if "Chat" in spec.logical_id)
    assert chat.environment["PROVIDER_KEY_SECRET_ARN"] == arn


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(UnresolvableError, match="Nonsense"):
        load(ROOT / "template.yaml", {"Nonsense": 1})


def test_the_relay_routes_stream_for_a_quarter_of_an_hour(api: Api) -> None:
    for path in ("/v1/chat/completions", "/v1/responses"):
        found = api.match("POST", path)
        assert found
        assert found[0].streaming
        assert found[0].timeout_seconds == 900


@pytest.mark.parametrize(
    ("method", "path", "resource", "parameters"),
    [
        ("GET", "/v1/models", "/v1/models", {}),
        ("GET", "/v1/models/", "/v1/models", {}),
        ("GET", "/v1/models/a", "/v1/models/{id+}", {"id": "a"}),
        ("GET", "/v1/models/a/b%3Ac", "/v1/models/{id+}", {"id": "a/b:c"}),
        ("GET", "/health", "/health", {}),
    ],
)
def test_a_path_finds_its_route(
    api: Api, method: str, path: str, resource: str, parameters: dict[str, str]
) -> None:
    found = api.match(method, path)
    assert found
    assert (found[0].resource, found[1]) == (resource, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/v1"),
        ("POST", "/v1/models"),
        ("GET", "/models"),
        ("HEAD", "/health"),
    ],
)
def test_other_paths_and_methods_find_no_route(api: Api, method: str, path: str) -> None:
    assert api.match(method, path) is None


def test_only_playground_health_and_document_are_open_and_they_are_throttled(api: Api) -> None:
    open_routes = [route for route in api.routes if not route.authorizer]
    assert {route.resource for route in open_routes} == {"/", "/health", "/openapi.json"}
    assert [route.throttle and route.throttle.burst for route in open_routes] == [10, 10, 10]


def test_a_layer_folder_is_found_from_the_templates_own_place(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: "
        "{Runtime: python3.13, Handler: a.b, CodeUri: code/}}}\n"
    )
    assert load(tmp_path / "t.yaml").functions()[0].code == tmp_path / "code"


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [
        ("ProviderDialect", "azure", "azure, and must be one of: auto, abliteration, openai"),
        ("UpstreamBaseUrl", "foo", "must be a URL without a user name"),
        ("Providers", "no list", "must match"),
    ],
)
def test_a_value_that_cloudformation_refuses_is_refused(
    parameter: str, value: str, says: str
) -> None:
    with pytest.raises(ValueError, match=f"{parameter} .*{says}"):
        load(ROOT / "template.yaml", {parameter: value})
