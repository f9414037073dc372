"""`relay provider-key`: no key becomes current that the provider did not answer to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.aws_emulator.moto_server import backend
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import RelayRunner

NEW = "ak_new_canary_0123456789"
BAD = "ak_bad_canary_0123456789"
COMPLETION = {"choices": [{"message": {"role": "assistant", "content": "key verified."}}]}


class Secret:
    """The provider's secret, as a caller with every permission reads it."""

    def __init__(self, runner: RelayRunner) -> None:
        self.arn = runner.stack.template.ref("ProviderKeySecret")
        self.client = runner.stack.aws("secretsmanager")

    @property
    def text(self) -> str:
        return str(self.client.get_secret_value(SecretId=self.arn)["SecretString"])

    def stages(self) -> dict[str, list[str]]:
        stages: dict[str, list[str]] = self.client.describe_secret(SecretId=self.arn)[
            "VersionIdsToStages"
        ]
        return {version: stage for version, stage in stages.items() if stage}


@pytest.fixture
def secret(runner: RelayRunner) -> Iterator[Secret]:
    """The secret, and the key that the provider accepts, both put back afterwards."""
    secret, provider = Secret(runner), runner.stack.provider
    assert provider
    text, key = secret.text, provider.key
    yield secret
    secret.client.put_secret_value(SecretId=secret.arn, SecretString=text)
    provider.key = key


@pytest.fixture
def rotated(runner: RelayRunner, secret: Secret) -> Secret:
    """The secret of a provider that accepts the new key alone."""
    assert runner.stack.provider
    runner.stack.provider.key = NEW
    return secret


def test_a_verified_key_becomes_current(runner: RelayRunner, rotated: Secret) -> None:
    (before,) = (v for v, stages in rotated.stages().items() if "AWSCURRENT" in stages)
    done = runner.relay("provider-key", "set", given=f"{NEW}\n")
    assert (done.exit_code, done.stderr) == (0, "")
    assert NEW not in done.stdout
    assert json.loads(rotated.text) == {"api_key": NEW}
    assert rotated.stages()[before] == ["AWSPREVIOUS"]
    assert "AWSPENDING" not in str(rotated.stages())


def test_a_key_is_verified_by_a_small_call_to_the_provider(
    runner: RelayRunner, rotated: Secret
) -> None:
    provider = runner.stack.provider
    assert provider
    before = len(provider.calls)
    runner.relay("provider-key", "set", given=NEW)
    (call,) = provider.calls[before:]
    assert (call.path, call.status) == ("/v1/chat/completions", 200)


@pytest.mark.parametrize("options", [(), ("--add",)])
def test_a_bad_key_changes_nothing_and_is_reported_with_the_reason(
    runner: RelayRunner, secret: Secret, options: tuple[str, ...]
) -> None:
    text, stages = secret.text, secret.stages()
    done = runner.relay("provider-key", "set", *options, given=BAD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "401" in done.stderr
    assert "Copy it again" in done.stderr
    assert BAD not in done.stderr
    assert (secret.text, secret.stages()) == (text, stages)


def test_added_keys_keep_the_others_and_are_stored_once(
    runner: RelayRunner, rotated: Secret, tmp_path: Path
) -> None:
    old = rotated.text
    (tmp_path / "key.txt").write_text(f"{NEW}\n")
    for _ in range(2):
        runner.quiet("provider-key", "set", "--add", "--file", str(tmp_path / "key.txt"))
        assert json.loads(rotated.text) == {"api_keys": [old, NEW]}
    assert runner.quiet("provider-key", "show").startswith("2 keys stored.")


def test_only_numbers_and_ages_are_shown(runner: RelayRunner, secret: Secret) -> None:
    shown = runner.quiet("provider-key", "show")
    assert shown.startswith("1 key stored.")
    assert "AWSCURRENT" in shown
    assert secret.text not in shown


def test_the_age_of_the_current_key_is_its_own_and_others_are_unknown(
    runner: RelayRunner, rotated: Secret
) -> None:
    runner.quiet("provider-key", "set", "--file", key_file(runner))
    ((version, _),) = (v for v in rotated.stages().items() if "AWSCURRENT" in v[1])
    (held,) = (
        secret.versions[version]
        for secret in backend("secretsmanager").secrets.values()
        if secret.arn == rotated.arn
    )
    held["createdate"] -= 2 * 3600 + 60
    _, _, *rows = runner.quiet("provider-key", "show").splitlines()
    assert [row.split("AWS")[1].split(maxsplit=2)[2] for row in rows] == ["2 h", "–"]


@pytest.mark.parametrize("given", ["", " \n", "a b", "a\nb", '{"api_key": "x"}', "schlüssel", "\0"])
def test_an_invalid_key_is_refused_without_being_printed(
    runner: RelayRunner, secret: Secret, given: str
) -> None:
    before = secret.stages()
    done = runner.relay("provider-key", "set", given=given)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "enter only the key" in done.stderr
    assert before == secret.stages()


def test_a_missing_file_is_reported(runner: RelayRunner) -> None:
    done = runner.relay("provider-key", "set", "--file", "/no/such/file")
    assert done.exit_code == 2
    assert "/no/such/file" in done.stderr


@pytest.fixture
def scripted(
    secret: Secret, changed_note: Callable[..., RelayRunner]
) -> Iterator[tuple[ScriptedProvider, RelayRunner]]:
    """A provider with scripted answers, and a runner whose stack is in front of it."""
    with ScriptedProvider() as provider:
        parameters = {"UpstreamBaseUrl": provider.base_url, "ProviderDialect": "openai"}
        yield provider, changed_note(parameters=parameters)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (whole(402, {}), "402: the account has no credits left"),
        (whole(403, {}), "403: this key lacks permission"),
        (whole(404, {}), "--model"),
        (whole(429, {}), "Try again in a minute"),
        (whole(500, b"<html>"), "answered 500"),
        (whole(529, {}), "answered 529"),
        (whole(302, {}, Location="http://127.0.0.1:1/"), "answered 302"),
        (whole(200, b"<html>"), "did not answer JSON"),
        (whole(200, {"object": "something else"}), "not with a chat completion"),
        (whole(200, []), "not with a chat completion"),
    ],
)
def test_only_a_completion_verifies_a_key(
    scripted: tuple[ScriptedProvider, RelayRunner], secret: Secret, script: Any, words: str
) -> None:
    provider, runner = scripted
    provider.scripts = [script]
    before = secret.stages()
    done = runner.relay("provider-key", "set", "--model", "m", given=BAD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert words in done.stderr
    assert BAD not in done.stderr
    assert secret.stages() == before


def test_without_a_model_the_first_listed_one_is_called(
    scripted: tuple[ScriptedProvider, RelayRunner], secret: Secret
) -> None:
    provider, runner = scripted
    provider.scripts = [whole(200, {"data": [{"id": "first"}]}), whole(200, COMPLETION)]
    assert "first accepted" in runner.quiet("provider-key", "set", "--file", key_file(runner))
    assert json.loads(secret.text) == {"api_key": NEW}


def key_file(runner: RelayRunner) -> str:
    path = runner.root / "key.txt"
    path.write_text(NEW)
    return str(path)


def test_an_unavailable_provider_verifies_no_key(
    changed_note: Callable[..., RelayRunner], secret: Secret
) -> None:
    before = secret.stages()
    runner = changed_note(parameters={"UpstreamBaseUrl": "http://127.0.0.1:9"})
    done = runner.relay("provider-key", "set", "--model", "m", given=NEW)
    assert done.exit_code == 1
    assert "did not answer" in done.stderr
    assert secret.stages() == before


@pytest.fixture
def empty(
    runner: RelayRunner, changed_note: Callable[..., RelayRunner]
) -> Iterator[tuple[RelayRunner, str]]:
    """A runner whose stack has a secret that was never set."""
    client = runner.stack.aws("secretsmanager")
    arn = str(client.create_secret(Name="empty")["ARN"])
    parameters = {**runner.stack.template.parameters, "ProviderKeySecretArn": arn}
    yield changed_note(parameters=parameters), arn
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_the_very_first_key_is_verified_before_it_is_stored(
    empty: tuple[RelayRunner, str], rotated: Secret
) -> None:
    runner, arn = empty
    assert "No key is stored yet" in runner.quiet("provider-key", "show")
    assert runner.relay("provider-key", "set", given=BAD).exit_code == 1
    assert "No key is stored yet" in runner.quiet("provider-key", "show")
    assert runner.relay("provider-key", "set", "--add", given=NEW).exit_code == 0
    stored = rotated.client.get_secret_value(SecretId=arn)["SecretString"]
    assert json.loads(stored) == {"api_keys": [NEW]}
