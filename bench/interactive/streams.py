"""Streams and added latency, through a real runtime process, beside the LiteLLM proxy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.environment.answers import Document, chat_question, responses_question
from bench.environment.direct import DirectClient
from bench.environment.environment import BenchContext, event
from bench.environment.proxy import Proxy, litellm_proxy
from bench.interactive.warm import run_with
from bench.report.results import Measurement, summarize

if TYPE_CHECKING:
    from bench.environment.runtime_api import Environment

BURST = 2000  # chunks
BURSTS_FOR_CPU = 10
CALLS_PER_TURN = 20
WARM_UP_CALLS = 10
RESPONSES = "/v1/responses"


def streams(context: BenchContext) -> Iterator[tuple[str, Measurement]]:
    """Yield the measurements of streams, and of the latency that the relay adds."""
    yield "stream_chunks_per_s", burst(context)
    yield "stream_completed_chunks_per_s", completed_burst(context)
    with (
        litellm_proxy(context) as proxy,
        context.function(context.installs.relay) as relay,
        DirectClient(context.base_url, context.trust) as direct,
        DirectClient(proxy.base_url, context.trust) as proxied,
    ):
        yield "warm_added_ms_vs_litellm_proxy", added_latency(context, relay, direct, proxied)
        yield "stream_first_byte_added_ms", first_byte(context, relay, direct, proxied)
        name = "stream_cpu_us_per_chunk_vs_litellm_proxy"
        yield name, cpu_per_chunk(context, relay, proxied, proxy)


def burst(context: BenchContext) -> Measurement:
    """Measure chunks per second, and those of the provider without a relay."""
    question = chat_question(BURST)
    with (
        context.function(context.installs.relay) as relay,
        DirectClient(context.base_url, context.trust) as direct,
    ):
        ours, ceiling = [], []
        for turn in range(10 * context.repeats + 1):
            rates = (
                BURST / relay.invoke(event(question)).seconds,
                BURST / direct.post(question).seconds,
            )
            if turn:  # the first warms up
                ours.append(rates[0])
                ceiling.append(rates[1])
    return summarize(ours, {"provider_itself": median(ceiling)})


def completed_burst(context: BenchContext) -> Measurement:
    """Measure a Responses stream of the minimal events, to which the relay adds all others."""
    asked = event(responses_question(BURST), RESPONSES)
    with context.function(context.installs.responses) as relay:
        answers = [relay.invoke(asked) for _ in range(10 * context.repeats + 1)][1:]
    if b"response.output_text.done" not in answers[0].body:
        raise RuntimeError("The stream was not completed")
    return summarize([BURST / answer.seconds for answer in answers])


def added_latency(
    context: BenchContext, relay: Environment, direct: DirectClient, proxied: DirectClient
) -> Measurement:
    """Compare the milliseconds that relay and proxy add to a whole answer, with one caller."""
    question = chat_question()
    ways: dict[str, Callable[[], float]] = {
        "direct": lambda: direct.post(question).seconds,
        "relay": lambda: relay.invoke(event(question)).seconds,
        "litellm_proxy": lambda: proxied.post(question).seconds,
    }
    turns = interleaved(context, ways)
    values = [(turn["relay"] - turn["direct"]) / (turn["litellm_proxy"] - turn["direct"])
              for turn in turns]  # fmt: skip
    return summarize(values, {f"{way}_ms": median_of(turns, way) for way in ways})


def first_byte(
    context: BenchContext, relay: Environment, direct: DirectClient, proxied: DirectClient
) -> Measurement:
    """Measure the milliseconds added before the first byte of a stream."""
    question = chat_question(20)
    turns = interleaved(
        context,
        {
            "direct": lambda: direct.post(question).first_byte_seconds,
            "relay": lambda: relay.invoke(event(question)).first_byte_seconds,
            "litellm_proxy": lambda: proxied.post(question).first_byte_seconds,
        },
    )
    bare = median_of(turns, "direct")
    peers = {
        "openai_sdk": openai_first_chunk(context, question) - bare,
        "litellm_proxy": median_of(turns, "litellm_proxy") - bare,
    }
    values = [turn["relay"] - turn["direct"] for turn in turns]
    return summarize(values, peers, below_peers=True)


def openai_first_chunk(context: BenchContext, question: Document) -> float:
    """Return the milliseconds that the openai SDK takes to the first chunk of a stream."""
    result, asked = context.scratch / "openai.json", context.scratch / "question.json"
    asked.write_text(json.dumps(question))
    script = Path(__file__).parents[1] / "peers" / "openai_stream.py"
    calls = CALLS_PER_TURN * context.repeats
    run_with(context, context.installs.openai, script, result, asked, calls)
    seconds: list[float] = json.loads(result.read_text())
    return 1000 * median(seconds)


def cpu_per_chunk(
    context: BenchContext, relay: Environment, proxied: DirectClient, proxy: Proxy
) -> Measurement:
    """Compare the CPU that relay and proxy take for each chunk of a burst."""
    question, bursts = chat_question(BURST), BURSTS_FOR_CPU * context.repeats
    microseconds = {
        "relay_us": cpu_of(relay.cpu_seconds, lambda: relay.invoke(event(question)), bursts),
        "litellm_proxy_us": cpu_of(proxy.cpu_seconds, lambda: proxied.post(question), 2),
    }
    return summarize([microseconds["relay_us"] / microseconds["litellm_proxy_us"]], microseconds)


def cpu_of(cpu_seconds: Callable[[], float], call: Callable[[], object], bursts: int) -> float:
    """Return the microseconds of CPU that a process takes for each chunk."""
    call()
    begun = cpu_seconds()
    for _ in range(bursts):
        call()
    return 1e6 * (cpu_seconds() - begun) / (bursts * BURST)


def interleaved(
    context: BenchContext, ways: dict[str, Callable[[], float]]
) -> list[dict[str, float]]:
    """Return the median milliseconds of each way, turn by turn."""
    for call in ways.values():
        for _ in range(WARM_UP_CALLS):
            call()
    return [
        {way: 1000 * median(call() for _ in range(CALLS_PER_TURN)) for way, call in ways.items()}
        for _ in range(3 * context.repeats)
    ]


def median_of(turns: list[dict[str, float]], way: str) -> float:
    """Return the median of one way over all turns."""
    return median(turn[way] for turn in turns)
