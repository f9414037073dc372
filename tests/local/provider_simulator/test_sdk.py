"""The official client and the command line against the simulator."""

import asyncio
import signal
import subprocess
import sys

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from local.provider_simulator.server import Provider
from local.provider_simulator.switches import SWITCHES
from tests.local.provider_simulator.provider_caller import MODEL, TIMEOUT_SECONDS, ProviderCaller

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Reply with: sdk verified."}]


def test_the_sdk_reads_a_whole_chat_completion(provider: ProviderCaller) -> None:
    with provider.client() as client:
        answer = client.chat.completions.create(model=MODEL, messages=ASK)
    assert answer.choices[0].message.content == "sdk verified."
    assert answer.usage
    assert answer.usage.total_tokens == 14
    assert answer._request_id == "req_sim000001"


def test_the_sdk_reads_a_streamed_chat_completion(provider: ProviderCaller) -> None:
    with provider.client() as client:
        stream = client.chat.completions.create(
            model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "sdk verified."
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens == 14


def test_the_sdk_reads_a_whole_response(provider: ProviderCaller) -> None:
    with provider.client() as client:
        answer = client.responses.create(model=MODEL, input="Reply with: sdk verified.")
    assert answer.output_text == "sdk verified."


@pytest.mark.parametrize("switches", ["", "responses-stream=minimal"])
def test_the_sdk_reads_a_streamed_response(provider: ProviderCaller, switches: str) -> None:
    with provider.client(switches) as client:
        stream = client.responses.create(model=MODEL, input="Reply with: sdk ok.", stream=True)
        events = list(stream)
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == "sdk ok."
    assert events[-1].type == "response.completed"


def test_the_stream_helper_of_the_sdk_follows_a_full_text(provider: ProviderCaller) -> None:
    with (
        provider.client() as client,
        client.responses.stream(model=MODEL, input="Reply with: sdk verified.") as stream,
    ):
        final = stream.get_final_response()
    assert final.output_text == "sdk verified."


def test_the_stream_helper_of_the_sdk_follows_a_full_tool_call(provider: ProviderCaller) -> None:
    with (
        provider.client() as client,
        client.responses.stream(
            model=MODEL,
            input="look around",
            tools=[
                {
                    "type": "function",
                    "name": "look",
                    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
                    "strict": False,
                }
            ],
        ) as stream,
    ):
        (item,) = stream.get_final_response().output
    assert item.type == "function_call"
    assert item.arguments == '{"at":"example"}'


def test_the_sdk_lists_the_models(provider: ProviderCaller) -> None:
    with provider.client() as client:
        assert [model.id for model in client.models.list()][0] == MODEL


def test_the_sdk_retries_after_a_rate_limit(provider: ProviderCaller) -> None:
    with provider.client("status=429;times=1;retry-after=0.1", retries=2) as client:
        answer = client.chat.completions.create(model=MODEL, messages=ASK)
    assert answer.choices[0].message.content == "sdk verified."
    assert [call.status for call in provider.server.calls] == [429, 200]


def test_the_sdk_raises_the_error_of_a_stream(provider: ProviderCaller) -> None:
    with provider.client("fault=error-frame") as client:
        stream = client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        with pytest.raises(openai.APIError) as caught:
            list(stream)
    assert caught.value.code == "upstream_error"


def test_the_command_line_lists_every_switch() -> None:
    command = [sys.executable, "-m", "local.provider_simulator", "--switches"]
    listed = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
    )
    assert all(f"{switch.name} = " in listed.stdout for switch in SWITCHES)


def test_the_command_line_serves_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "local.provider_simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=TIMEOUT_SECONDS) == 0


def test_a_port_in_use_is_a_clear_message(provider: ProviderCaller) -> None:
    port = provider.url.rpartition(":")[2].removesuffix("/v1")
    command = [sys.executable, "-m", "local.provider_simulator", "--port", port]
    result = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert result.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_server_with_a_rate_limit_enforces_it() -> None:
    async def statuses() -> list[int]:
        server = Provider(rate_limit=1)
        url = await server.start()
        try:
            async with openai.AsyncOpenAI(
                base_url=url, api_key=server.key, max_retries=0
            ) as client:
                await client.models.list()
                with pytest.raises(openai.RateLimitError):
                    await client.models.list()
        finally:
            await server.stop()
        return [call.status for call in server.calls]

    assert asyncio.run(statuses()) == [200, 429]
