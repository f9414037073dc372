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
    model="abliterated-model",
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
    print_line(console, f"{word}  {escape(result.vector.name):<44} {result.milliseconds:>6} ms")


def show_failures(console: Console, results: list[Result]) -> None:
    """Print one line for each reason of failure, and the number of failures."""
    reasons = Counter(result.reason for result in results if not result.passed)
    if not reasons:
        return
    for reason, times in reasons.most_common():
        print_line(console, f"{times} x {escape(reason)}")
    failed = f"{reasons.total()} of {len(results)} failed"
    print_line(
        console,
        f"[bold red]{failed}[/]: while make run serves, run .venv/bin/relay doctor --local",
    )
    print_line(console, "")


def show_stack(console: Console, stack: Stack) -> None:
    """Print the stack's addresses and a client snippet."""
    base_url = f"{stack.base_url}/v1"
    print_line(console, "")
    print_line(console, f"[bold]Base URL[/]    {escape(base_url)}")
    print_line(console, f"[bold]Client key[/]  {escape(stack.client_key)}")
    print_line(console, f"[bold]Provider[/]    {escape(stack.settings.provider)}")
    print_line(console, f"[bold]AWS[/]         {escape(stack.aws_endpoint_url)}")
    print_line(console, f"[bold]Playground[/]  {stack.base_url}/")
    if stack.bucket:
        copy = f"aws s3 cp rows.jsonl s3://{stack.bucket}/inbox/"
        print_line(
            console, f"[bold]Batches[/]     {escape(copy)} --endpoint-url {stack.aws_endpoint_url}"
        )
    print_line(console, f"[bold]Metrics[/]     {stack.base_url}{METRICS}")
    print_line(console, f"[bold]Logs[/]        {escape(str(stack.settings.log))}")
    if stack.runtime == "python":
        print_line(console, "[bold]Runtime[/]     our own in plain Python, not awslambdaric")
    print_line(console, "")
    print_line(console, escape(SNIPPET.format(base_url=base_url, key=stack.client_key)))


def print_line(console: Console, line: str) -> None:
    """Print a line without wrapping or highlighting."""
    console.print(line, highlight=False, soft_wrap=True)
