"""LangChain's ChatOpenAI, on both endpoints and on every kind of stream a provider may send."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.e2e.variants import (
    ASK,
    ASK_FOR_A_TOOL,
    ASK_FOR_AN_OBJECT,
    IMAGES,
    MODEL,
    TEXT,
    TOOL_ANSWER,
    WEATHER,
    Weather,
    get_weather,
    on_every_full_stream,
    on_every_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from langchain_core.runnables import Runnable

    from tests.e2e.conftest import Running

    Model = Callable[[str], ChatOpenAI]

TOOL = StructuredTool.from_function(get_weather)
METHODS = ["json_schema", "function_calling"]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=[False, True], ids=["chat", "responses"])
def chat_model(
    request: pytest.FixtureRequest, running: Running, runner: asyncio.Runner
) -> Iterator[Model]:
    """ChatOpenAI on one of the endpoints, for a model."""
    # Its own HTTP clients live as long as the process; these can be closed.
    whole, waiting = openai.DefaultHttpxClient(), openai.DefaultAsyncHttpxClient()

    def chat_model(model: str) -> ChatOpenAI:
        return ChatOpenAI(
            model=model,
            base_url=running.base_url,
            api_key=SecretStr(running.stack.client_key),
            max_retries=0,
            stream_usage=True,
            use_responses_api=request.param,
            http_client=whole,
            http_async_client=waiting,
        )

    yield chat_model
    whole.close()
    runner.run(waiting.aclose())


def test_invoke_returns_the_text_and_its_usage(chat_model: Model, runner: asyncio.Runner) -> None:
    for message in (
        chat_model(MODEL).invoke(ASK),
        runner.run(chat_model(MODEL).ainvoke(ASK)),
    ):
        assert message.text == TEXT
        assert message.usage_metadata
        assert message.usage_metadata["total_tokens"] > 0


@on_every_stream
def test_stream_returns_the_text(chat_model: Model, model: str) -> None:
    assert joined(chat_model(model).stream(ASK)).text == TEXT


@on_every_full_stream
def test_stream_returns_the_usage(chat_model: Model, model: str) -> None:
    usage = joined(chat_model(model).stream(ASK)).usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


@on_every_stream
def test_astream_returns_the_text(chat_model: Model, model: str, runner: asyncio.Runner) -> None:
    assert runner.run(streamed_async(chat_model(model), ASK)).text == TEXT


def test_an_image_is_sent_to_the_model(chat_model: Model) -> None:
    for url, seen in IMAGES.items():
        image = {"type": "image_url", "image_url": {"url": url}}
        question = HumanMessage([{"type": "text", "text": "What is this?"}, image])
        assert chat_model(MODEL).invoke([question]).text == seen


def test_a_loop_of_tools_ends_with_an_answer(chat_model: Model, runner: asyncio.Runner) -> None:
    bound = chat_model(MODEL).bind_tools([TOOL])
    assert tool_loop(bound.invoke) == TOOL_ANSWER
    assert tool_loop(lambda turns: runner.run(ainvoked(bound, turns))) == TOOL_ANSWER


def test_strict_tools_and_a_forced_choice_are_accepted(chat_model: Model) -> None:
    bound = chat_model(MODEL).bind_tools([TOOL], strict=True, tool_choice=TOOL.name)
    (call,) = bound.invoke(ASK_FOR_A_TOOL).tool_calls
    assert (call["name"], call["args"]) == (TOOL.name, {"city": "example"})


@on_every_stream
def test_a_streamed_loop_of_tools_ends_with_an_answer(
    chat_model: Model, model: str, runner: asyncio.Runner
) -> None:
    bound = chat_model(model).bind_tools([TOOL])
    assert tool_loop(lambda turns: joined(bound.stream(turns))) == TOOL_ANSWER
    assert tool_loop(lambda turns: runner.run(streamed_async(bound, turns))) == TOOL_ANSWER


@pytest.mark.parametrize("method", METHODS)
def test_structured_output_is_parsed_into_a_model(
    chat_model: Model, method: Any, runner: asyncio.Runner
) -> None:
    structured = chat_model(MODEL).with_structured_output(Weather, method=method)
    assert structured.invoke(ASK_FOR_AN_OBJECT) == WEATHER
    assert runner.run(ainvoked(structured, ASK_FOR_AN_OBJECT)) == WEATHER


def test_structured_output_may_be_any_json(chat_model: Model) -> None:
    structured = chat_model(MODEL).with_structured_output(None, method="json_mode")
    assert structured.invoke(f'{ASK_FOR_AN_OBJECT} Reply with: {{"city": "example"}}') == {
        "city": "example"
    }


# LangChain dumps the official client's parsed choices, whose type says that none is parsed.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("method", METHODS)
@on_every_stream
def test_streamed_structured_output_is_parsed_into_a_model(
    chat_model: Model, model: str, method: Any
) -> None:
    structured = chat_model(model).with_structured_output(Weather, method=method)
    assert list(structured.stream(ASK_FOR_AN_OBJECT))[-1] == WEATHER


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (402, openai.APIStatusError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
    ],
)
def test_a_refusal_is_the_exception_of_the_official_client(
    chat_model: Model, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        chat_model(f"{MODEL}@status={status};retry-after=37").invoke(ASK)
    assert caught.value.status_code == status
    assert caught.value.request_id


def joined(chunks: Iterable[Any]) -> Any:
    """Return the message that a stream adds up to."""
    return functools.reduce(operator.add, chunks)


async def streamed_async(model: Runnable[Any, Any], question: Any) -> Any:
    return joined([chunk async for chunk in model.astream(question)])


async def ainvoked(model: Runnable[Any, Any], question: Any) -> Any:
    return await model.ainvoke(question)


def tool_loop(ask: Callable[[list[BaseMessage]], AIMessage]) -> str:
    """Let the model use its tools until it has something to say, as a program would."""
    turns: list[BaseMessage] = [HumanMessage(ASK_FOR_A_TOOL)]
    for _ in range(3):
        turns.append(ask(turns))
        calls = turns[-1].tool_calls if isinstance(turns[-1], AIMessage) else []
        if not calls:
            return turns[-1].text
        turns += [TOOL.invoke(call) for call in calls]
    raise AssertionError("The model never stopped calling tools.")
