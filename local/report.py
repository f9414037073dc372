"""What `make run` and `make demo` print."""

from collections import Counter
from contextlib import suppress

from rich.console import Console
from rich.markup import escape

from local.metrics_page.view import PATH as METRICS
from local.stack import Stack
from local.vectors import Result

SNIPPET = """\
from openai import OpenAI

client = OpenAI(base_url="{base_url}", api_key="{key}")
stream = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Reply with: it works"}}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="", flush=True)
"""


class PipeSafeConsole(Console):
    """A console that survives a closed pipe (`make demo | head`)."""

    def on_broken_pipe(self) -> None:
        """Continue without output, so that the stack is still cleaned up."""
        with suppress(SystemExit):
            super().on_broken_pipe()


def show_result(console: Console, result: Result) -> None:
    """Print one line for a vector."""
    word = "[green]PASS[/]" if result.passed else "[bold red]FAIL[/]"
    console.print(f"{word}  {escape(result.vector.name):<44} {result.milliseconds:>6} ms")


def show_failures(console: Console, results: list[Result]) -> None:
    """Print one line for each reason of failure, and the number of failures."""
    reasons = Counter(result.reason for result in results if not result.passed)
    if not reasons:
        return
    for reason, times in reasons.most_common():
        console.print(f"{times} x {escape(reason)}")
    failed = f"[bold red]{reasons.total()} of {len(results)} failed[/]"
    console.print(f"{failed}: while make run serves, run .venv/bin/relay doctor --local\n")


def show_stack(console: Console, stack: Stack, model: str) -> None:
    """Print the stack's addresses and a client snippet with a model."""
    base_url, aws = f"{stack.base_url}/v1", stack.aws_endpoint_url
    shown = {
        "Base URL": base_url,
        "Client key": stack.client_key,
        "Provider": stack.settings.provider,
        "AWS": aws,
        "Playground": f"{stack.base_url}/",
        "Batches": stack.bucket
        and f"aws s3 cp rows.jsonl s3://{stack.bucket}/inbox/ --endpoint-url {aws}",
        "Metrics": f"{stack.base_url}{METRICS}",
        "Logs": stack.settings.log,
        "Runtime": stack.runtime == "python" and "our own in plain Python, not awslambdaric",
    }
    console.print()
    for name, value in shown.items():
        if value:
            console.print(f"[bold]{name:<12}[/]{escape(str(value))}")
    console.print()
    console.print(escape(SNIPPET.format(base_url=base_url, key=stack.client_key, model=model)))
