"""`relay doctor` on a stack whose provider, or whose way to it, has a fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.settings import Settings
from local.stack import Stack
from tests.cli.conftest import RelayRunner
from tests.cli.doctor.conftest import diagnosed
from tests.e2e.conftest import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "abliterated-model"


@pytest.fixture
def key(runner: RelayRunner) -> Iterator[Callable[[str], None]]:
    """Puts a text into the provider's secret; what was there is put back afterwards."""
    secrets = runner.stack.aws("secretsmanager")
    arn = runner.stack.template.ref("ProviderKeySecret")
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    yield lambda text: secrets.put_secret_value(SecretId=arn, SecretString=text)
    secrets.put_secret_value(SecretId=arn, SecretString=before)


@pytest.mark.parametrize(
    ("text", "fault", "words"),
    [
        ('"ak_in_quotes_0000000000"', "secret", "quotation marks"),
        ("ak_first_line_000000\nak_second", "secret", "line break"),
        ("ak_revoked_000000000000", "provider key", "does not accept the stored key (401)"),
    ],
)
def test_a_bad_key_is_the_only_fault_and_is_not_used_for_other_checks(
    runner: RelayRunner, key: Callable[[str], None], text: str, fault: str, words: str
) -> None:
    key(text)
    checks = diagnosed(runner)
    name, says, fix = checks.only_fault()
    assert (name, words in says) == (fault, True)
    assert "ABLIT_KEY=" in fix
    assert "make run" in fix
    assert {"model", "rate limit", "call", "streaming"} <= checks.not_checked
    assert text not in checks.text


@pytest.mark.parametrize(
    ("model", "fault", "words", "advice"),
    [
        ("no-such-model", "model", "refuses a small request to no-such-model (400)", MODEL),
        ("abliterated-model-large-v2@locked-models", "model", "(403). The model", MODEL),
        (f"{MODEL}@status=429;retry-after=7", "rate limit", "(429)", "after: 7"),
        (f"{MODEL}@status=402", "provider key", "no credits left", "Top it up"),
        (f"{MODEL}@stream-ignored", "provider stream", "does not stream", "buffer"),
    ],
)
def test_a_provider_refusal_is_the_only_fault(
    runner: RelayRunner, model: str, fault: str, words: str, advice: str
) -> None:
    name, says, fix = diagnosed(runner, "--model", model).only_fault()
    assert (name, words in says, advice in fix) == (fault, True, True)


def test_a_slow_stream_is_no_fault(runner: RelayRunner) -> None:
    checks = diagnosed(runner, "--model", f"{MODEL}@chunk-delay=0.2")
    assert (checks.healthy, checks.faults) == (True, [])


@pytest.fixture(scope="module")
def streaming_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayRunner]:
    """A stack that answers streams whole."""
    root = tmp_path_factory.mktemp("whole")
    log = root / "functions.log"
    loop, stack = Loop(), Stack(Settings(log=log, parameters={"Streaming": "off"}))
    loop.run(stack.__aenter__())
    stack.write_state_file(root / ".relay-local.json")
    yield RelayRunner(stack, root, log, [])
    loop.run(stack.__aexit__(None, None, None))
    loop.close()


def test_streaming_that_is_off_is_reported(streaming_runner: RelayRunner) -> None:
    checks = diagnosed(streaming_runner)
    assert checks.healthy
    name, says, fix = checks.only_fault()
    assert (name, "Streaming is off" in says) == ("streaming", True)
    assert "Streaming=shim" in fix


def test_buffered_streams_are_reported(
    streaming_runner: RelayRunner, changed_note: Callable[..., RelayRunner]
) -> None:
    note = (streaming_runner.root / ".relay-local.json").read_text()
    runner = changed_note(**json.loads(note.replace('"off"', '"shim"')))
    name, says, fix = diagnosed(runner, "--model", f"{MODEL}@chunk-delay=0.2").only_fault()
    assert (name, "stream arrives at once" in says) == ("streaming", True)
    assert "buffers it" in fix
