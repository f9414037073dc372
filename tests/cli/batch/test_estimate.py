"""What a file may cost, as it is shown before anything is sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.batch.conftest import BatchCliRunner, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRICING = {"prompt": "0.000001", "completion": "0.000003"}
LISTED = {"id": "abliterated-model", "pricing": PRICING, "max_output_length": 1000}
PRICES = ("--price-in", "2", "--price-out", "10")


@pytest.fixture
def listing(runner: BatchCliRunner) -> Iterator[Callable[..., None]]:
    """Lets the stack answer GET /v1/models, to its own client key alone."""
    entries: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            is_known = self.headers["Authorization"] == "Bearer sk-relay-test"
            found = is_known and self.path == "/v1/models"
            text = json.dumps({"object": "list", "data": entries}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        runner.change_note(base_url=f"http://127.0.0.1:{server.server_port}/v1")
        yield lambda *listed: entries.extend(listed)
        server.shutdown()
        thread.join()


def estimate(runner: BatchCliRunner, *rows: Any, words: tuple[str, ...] = ()) -> dict[str, str]:
    done = runner.relay("submit", runner.file(*rows), "--yes", *words)
    assert done.exit_code == 0, done.output
    cells = (line.split(maxsplit=1) for line in done.stderr.splitlines() if line.strip())
    return {cell[0]: cell[1].strip() for cell in cells}


def costs(typical: str, tokens: int, worst: str) -> str:
    basis = f"if answers have {tokens} tokens on average"
    return f"typical: about {typical}, {basis}; worst case: {worst}"


def with_text(number: int, length: int, **body: Any) -> dict[str, Any]:
    return row(number, messages=[{"role": "user", "content": "x" * length}], **body)


def test_rows_and_tokens_are_added_up(runner: BatchCliRunner) -> None:
    rows = (with_text(1, 4000), with_text(2, 4000, max_tokens=50, n=3))
    shown = estimate(runner, *rows)
    assert shown["Rows"] == "2"
    assert shown["Models"] == "abliterated-model"
    assert 2000 <= int(shown["Input"].split()[1].replace(",", "")) <= 2200
    assert shown["Answers"] == "about 250 tokens, at most 250"


def test_an_image_counts_for_less_than_its_bytes(runner: BatchCliRunner) -> None:
    url = f"data:image/png;base64,{'A' * 100_000}"
    part = {"type": "image_url", "image_url": {"url": url}}
    shown = estimate(runner, row(1, messages=[{"role": "user", "content": [part]}]))
    assert 0 < int(shown["Input"].split()[1].replace(",", "")) < 10_000


def test_several_models_are_reported_with_their_rows(runner: BatchCliRunner) -> None:
    shown = estimate(runner, row(1), row(2), row(3, model="abliterated-model-large"))
    assert shown["Models"] == "abliterated-model (2), abliterated-model-large (1)"


def test_price_options_are_used_in_the_estimate(runner: BatchCliRunner) -> None:
    shown = estimate(runner, with_text(1, 400_000, max_tokens=5000), words=PRICES)
    # Of the text a hundred thousand tokens at $2 a million, or one for each byte.
    assert shown["Cost"] == costs("$0.2051", 500, "$0.8507")


def test_listed_prices_are_used_if_the_stack_returns_them(
    runner: BatchCliRunner, listing: Callable[..., None]
) -> None:
    listing(LISTED)
    runner.change_note(parameters={"ProviderDialect": "openai"})
    shown = estimate(runner, with_text(1, 400_000, max_tokens=5000))
    assert shown["Cost"] == costs("$0.1016", 500, "$0.4154")


def test_the_estimate_uses_what_a_provider_charges_above_its_list(
    runner: BatchCliRunner, listing: Callable[..., None]
) -> None:
    listing(LISTED)  # $1 and $3 a million, where the bill says $5
    shown = estimate(runner, with_text(1, 400_000, max_tokens=5000))
    assert shown["Cost"] == costs("$0.5028", 500, "$2.0266")


def test_an_answer_without_a_limit_is_estimated_at_the_models_maximum(
    runner: BatchCliRunner, listing: Callable[..., None]
) -> None:
    listing(LISTED)
    assert (
        estimate(runner, row(1, max_tokens=None, n=2))["Answers"]
        == "about 1,000 tokens, at most 2,000"
    )


def test_unknown_costs_are_reported_as_unknown(runner: BatchCliRunner) -> None:
    shown = estimate(runner, row(1), row(2, max_tokens=None))
    assert shown["Answers"].startswith("about 600 tokens; some rows have no limit")
    assert shown["Cost"].startswith("unknown: pass --price-in")


def test_without_an_answer_limit_only_the_typical_cost_is_estimated(runner: BatchCliRunner) -> None:
    shown = estimate(runner, row(1, max_tokens=None), words=PRICES)
    assert shown["Cost"] == costs("$0.0051", 500, "unknown")


def test_a_tiny_cost_is_not_shown_as_zero(runner: BatchCliRunner) -> None:
    shown = estimate(runner, row(1), words=("--price-in", "0.01", "--price-out", "0"))
    assert shown["Cost"] == costs("$0.0001", 100, "$0.0001")


def test_limits_of_the_model_list_apply_to_rows(
    runner: BatchCliRunner, listing: Callable[..., None]
) -> None:
    listing(LISTED | {"sampling_limits": {"temperature": {"maximum": 1}}})
    message = runner.refused("submit", runner.file(row(1, temperature=1.5)), "--yes")
    assert "body.temperature" in message
    assert runner.keys() == []
