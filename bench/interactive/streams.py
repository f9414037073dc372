"""Streams and added latency, through a real runtime process, beside the LiteLLM proxy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.environment.answers import Document, chat_question, responses_question
from bench.environment.direct import Direct
from bench.environment.environment import World, event
from bench.environment.proxy import Proxy, litellm_proxy
from bench.interactive.warm import run_with
from bench.report.figures import Figure, figure

if TYPE_CHECKING:
    from bench.environment.runtime_api import Environment

BURST = 2000  # chunks
BURSTS_FOR_CPU = 10
CALLS_PER_TURN = 20
WARM_UP_CALLS = 10
RESPONSES = "/v1/responses"


def streams(world: World) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of streams, and of what the relay adds to a call."""
    yield "stream_chunks_per_s", burst(world)
    yield "stream_completed_chunks_per_s", completed_burst(world)
    with (
        litellm_proxy(world) as proxy,
        world.function(world.installs.relay) as relay,
        Direct(world.base_url, world.trust) as direct,
        Direct(proxy.base_url, world.trust) as proxied,
    ):
        yield "warm_added_ms_vs_litellm_proxy", added(world, relay, direct, proxied)
        yield "stream_first_byte_added_ms", first_byte(world, relay, direct, proxied)
        name = "stream_cpu_us_per_chunk_vs_litellm_proxy"
        yield name, cpu_per_chunk(world, relay, proxied, proxy)


def burst(world: World) -> Figure:
    """Measure chunks per second, and those of the provider without a relay."""
    question = chat_question(BURST)
    with (
        world.function(world.installs.relay) as relay,
        Direct(world.base_url, world.trust) as direct,
    ):
        ours, ceiling = [], []
        for turn in range(10 * world.repeats + 1):
            rates = (
                BURST / relay.invoke(event(question)).seconds,
                BURST / direct.ask(question).seconds,
            )
            if turn:  # the first warms up
                ours.append(rates[0])
                ceiling.append(rates[1])
    return figure(ours, {"provider_itself": median(ceiling)})


def completed_burst(world: World) -> Figure:
    """Measure a Responses stream of three kinds of frames, all the others of which are put in."""
    asked = event(responses_question(BURST), RESPONSES)
    with world.function(world.installs.responses) as relay:
        answers = [relay.invoke(asked) for _ in range(10 * world.repeats + 1)][1:]
    if b"response.output_text.done" not in answers[0].body:
        raise RuntimeError("The stream was not completed")
    return figure([BURST / answer.seconds for answer in answers])


def added(world: World, relay: Environment, direct: Direct, proxied: Direct) -> Figure:
    """Compare the milliseconds that relay and proxy add to a whole answer, with one caller."""
    question = chat_question()
    ways: dict[str, Callable[[], float]] = {
        "direct": lambda: direct.ask(question).seconds,
        "relay": lambda: relay.invoke(event(question)).seconds,
        "litellm_proxy": lambda: proxied.ask(question).seconds,
    }
    turns = in_turns(world, ways)
    values = [(turn["relay"] - turn["direct"]) / (turn["litellm_proxy"] - turn["direct"])
              for turn in turns]  # fmt: skip
    return figure(values, {f"{way}_ms": middle(turns, way) for way in ways})


def first_byte(world: World, relay: Environment, direct: Direct, proxied: Direct) -> Figure:
    """Measure the milliseconds that are added before the first byte of a stream."""
    question = chat_question(20)
    turns = in_turns(
        world,
        {
            "direct": lambda: direct.ask(question).first_byte_seconds,
            "relay": lambda: relay.invoke(event(question)).first_byte_seconds,
            "litellm_proxy": lambda: proxied.ask(question).first_byte_seconds,
        },
    )
    bare = middle(turns, "direct")
    peers = {
        "openai_sdk": openai_first_chunk(world, question) - bare,
        "litellm_proxy": middle(turns, "litellm_proxy") - bare,
    }
    values = [turn["relay"] - turn["direct"] for turn in turns]
    return figure(values, peers, below_peers=True)


def openai_first_chunk(world: World, question: Document) -> float:
    """Return the milliseconds that the openai SDK takes to the first chunk of a stream."""
    result, asked = world.scratch / "openai.json", world.scratch / "question.json"
    asked.write_text(json.dumps(question))
    script = Path(__file__).parents[1] / "peers" / "openai_stream.py"
    calls = CALLS_PER_TURN * world.repeats
    run_with(world, world.installs.openai, script, result, asked, calls)
    seconds: list[float] = json.loads(result.read_text())
    return 1000 * median(seconds)


def cpu_per_chunk(world: World, relay: Environment, proxied: Direct, proxy: Proxy) -> Figure:
    """Compare the CPU that relay and proxy take for each chunk of a burst."""
    question, bursts = chat_question(BURST), BURSTS_FOR_CPU * world.repeats
    microseconds = {
        "relay_us": cpu_of(relay.cpu_seconds, lambda: relay.invoke(event(question)), bursts),
        "litellm_proxy_us": cpu_of(proxy.cpu_seconds, lambda: proxied.ask(question), 2),
    }
    return figure([microseconds["relay_us"] / microseconds["litellm_proxy_us"]], microseconds)


def cpu_of(cpu_seconds: Callable[[], float], call: Callable[[], object], bursts: int) -> float:
    """Return the microseconds of CPU that a process takes for each chunk."""
    call()
    begun = cpu_seconds()
    for _ in range(bursts):
        call()
    return 1e6 * (cpu_seconds() - begun) / (bursts * BURST)


def in_turns(world: World, ways: dict[str, Callable[[], float]]) -> list[dict[str, float]]:
    """Return the median milliseconds of each way, turn by turn."""
    for call in ways.values():
        for _ in range(WARM_UP_CALLS):
            call()
    return [
        {way: 1000 * median(call() for _ in range(CALLS_PER_TURN)) for way, call in ways.items()}
        for _ in range(3 * world.repeats)
    ]


def middle(turns: list[dict[str, float]], way: str) -> float:
    """Return the median of one way over all turns."""
    return median(turn[way] for turn in turns)
