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


class Screen(Console):
    """A console whose reader may leave (`make demo | head`) without stopping the stack."""

    def on_broken_pipe(self) -> None:
        """Goes on in silence, so that everything is still cleaned up."""
        with suppress(SystemExit):
            super().on_broken_pipe()


def show_result(console: Console, result: Result) -> None:
    """One line for a vector."""
    word = "[green]PASS[/]" if result.passed else "[bold red]FAIL[/]"
    say(console, f"{word}  {escape(result.vector.name):<44} {result.milliseconds:>6} ms")


def show_failures(console: Console, results: list[Result]) -> None:
    """One line for each reason why vectors failed, and how many did; nothing if none did."""
    reasons = Counter(result.reason for result in results if not result.passed)
    if not reasons:
        return
    for reason, times in reasons.most_common():
        say(console, f"{times} x {escape(reason)}")
    failed = f"{reasons.total()} of {len(results)} failed"
    say(console, f"[bold red]{failed}[/]: .venv/bin/relay doctor --local says why, under make run")
    say(console, "")


def show_stack(console: Console, stack: Stack) -> None:
    """Where the stack is and how to use it."""
    base_url = f"{stack.base_url}/v1"
    say(console, "")
    say(console, f"[bold]Base URL[/]    {escape(base_url)}")
    say(console, f"[bold]Client key[/]  {escape(stack.client_key)}")
    say(console, f"[bold]Provider[/]    {escape(stack.settings.provider)}")
    say(console, f"[bold]AWS[/]         {escape(stack.aws_endpoint_url)}")
    say(console, f"[bold]Playground[/]  {stack.base_url}/")
    if stack.bucket:
        copy = f"aws s3 cp rows.jsonl s3://{stack.bucket}/inbox/"
        say(console, f"[bold]Batches[/]     {escape(copy)} --endpoint-url {stack.aws_endpoint_url}")
    say(console, f"[bold]Metrics[/]     {stack.base_url}{METRICS}")
    say(console, f"[bold]Logs[/]        {escape(str(stack.settings.log))}")
    if stack.runtime == "python":
        say(console, "[bold]Runtime[/]     our own in plain Python, not awslambdaric")
    say(console, "")
    say(console, escape(SNIPPET.format(base_url=base_url, key=stack.client_key)))


def say(console: Console, line: str) -> None:
    """A line as it is, however narrow the terminal."""
    console.print(line, highlight=False, soft_wrap=True)
