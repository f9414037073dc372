"""Snapshots of a real process of the runtime: what is in them, and what their copies do."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.conftest import proxy_event
from tests.local.small_stack import function, in_loop
from tests.support.payloads import COMPLETION, INPUT, QUESTION
from tests.support.scripted_provider import ScriptedProvider, wait_until, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from local.lambda_runtime.environments import LambdaFunction

ROOT = Path(__file__).parents[3]
KEY = "ak_in_secrets_manager_alone"
# Hooks run in the reverse order of their registration: this one last, in what would be copied.
HANDLER = """
import os, pathlib, random, sys, time
from snapshot_restore_py import register_after_restore, register_before_snapshot
here = pathlib.Path(os.environ["SCRATCH"])

@register_before_snapshot
def snapshot():
    random.seed(1)
    (here / "state").write_text(repr([name in sys.modules for name in ("boto3", "requests")]))
    (here / "taken").touch()
    while not (here / "restore").exists():
        time.sleep(0.01)

from functions.{folder}.handler import handler

@register_after_restore
def restored():
    (here / "drawn").write_text(str(random.random()))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux only")


@dataclass(frozen=True)
class Outside:
    """What a function talks to."""

    provider: ScriptedProvider
    secrets: ScriptedProvider

    def function(self, scratch: Path, folder: str) -> AbstractAsyncContextManager[LambdaFunction]:
        """A function of the template, started as Lambda starts one that it takes a snapshot of."""
        return function(
            scratch,
            HANDLER.replace("{folder}", folder),
            layers=(ROOT / "layers" / "llm_relay", ROOT),
            environment={
                "POWERTOOLS_METRICS_NAMESPACE": "LlmRelay",
                "AWS_ENDPOINT_URL": self.secrets.base_url.removesuffix("/v1"),
                "PROVIDER_KEY_SECRET_ARN": "arn",
                "UPSTREAM_BASE_URL": self.provider.base_url,
            },
            starts_from_snapshot=True,
        )


@pytest.fixture
def outside() -> Iterator[Outside]:
    with (
        ScriptedProvider([whole(200, COMPLETION)]) as provider,
        ScriptedProvider([whole(200, {"SecretString": KEY})]) as secrets,
    ):
        yield Outside(provider, secrets)


def event(folder: str, question: dict[str, Any]) -> bytes:
    path = {"chat_completions": "/v1/chat/completions", "responses": "/v1/responses"}[folder]
    return json.dumps(proxy_event("POST", path, question)).encode()


def memory(process_id: int) -> bytes:
    """Everything that a process could have in a snapshot: its writable memory."""
    held = []
    with Path(f"/proc/{process_id}/mem").open("rb", buffering=0) as mem:
        for line in Path(f"/proc/{process_id}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            start, end = (int(address, 16) for address in place.split("-"))
            if rights.startswith("rw"):
                mem.seek(start)
                held.append(mem.read(end - start))
    return b"".join(held)


@pytest.mark.parametrize(
    ("folder", "question"), [("chat_completions", QUESTION), ("responses", INPUT)]
)
@in_loop
async def test_a_snapshot_is_warm_and_holds_no_secret_and_no_connection(
    tmp_path: Path, outside: Outside, folder: str, question: dict[str, Any]
) -> None:
    async with outside.function(tmp_path, folder) as small:
        invocation = small.invoke(event(folder, question))
        await asyncio.to_thread(wait_until, (tmp_path / "taken").exists)
        (process_id,) = small.process_ids
        assert (tmp_path / "state").read_text() == "[True, True]"
        assert KEY.encode() not in memory(process_id)
        assert (outside.provider.connections, outside.secrets.connections) == (0, 0)
        (tmp_path / "restore").touch()
        await invocation.read()
        assert KEY.encode() in memory(process_id)  # so it would have been seen
        assert outside.provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert outside.secrets.requests[0].headers["x-amz-security-token"] == "local"


@in_loop
async def test_copies_of_a_snapshot_draw_different_numbers(
    tmp_path: Path, outside: Outside
) -> None:
    (tmp_path / "restore").touch()
    drawn = []
    for _ in range(2):
        async with outside.function(tmp_path, "chat_completions") as small:
            await small.invoke(event("chat_completions", QUESTION)).read()
        drawn.append((tmp_path / "drawn").read_text())
    assert len(set(drawn)) == 2
