"""Generate deterministic answers to prompts."""

import json
import re
from dataclasses import dataclass

from local.provider_simulator.content.prompts import Prompt
from local.provider_simulator.content.schemas import instance
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import encode

REASONING = "The user wants a short answer."
REPLY = re.compile(r"\b(?:reply|respond) with:\s*(.+)", re.IGNORECASE | re.DOTALL)
PROMPT_OVERHEAD_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A text, or a call of a function with the text as its arguments; and the token counts."""

    text: str
    function: str
    reasoning: str
    is_truncated: bool
    prompt_tokens: int
    output_tokens: int

    @property
    def total_tokens(self) -> int:
        """The billed tokens."""
        return self.prompt_tokens + self.output_tokens


def answer(prompt: Prompt, switches: Switches) -> Answer:
    """Return the answer to a prompt."""
    reasoning = REASONING if prompt.has_reasoning else ""
    reasoning_tokens = len(reasoning.split()) if switches.on("reasoning-eats-tokens") else 0
    if prompt.function is None or REPLY.search(prompt.text):
        function, full = "", _stopped(_text(prompt, switches), prompt)
        text = _limited(full, prompt.word_limit, reasoning_tokens)
    else:
        function = prompt.function["name"]
        schema = prompt.function.get("parameters") or {"type": "object"}
        text = full = encode(instance(schema)).decode()
    return Answer(
        text=text,
        function=function,
        reasoning=reasoning,
        is_truncated=len(text) < len(full),
        prompt_tokens=prompt.prompt_words + PROMPT_OVERHEAD_TOKENS,
        output_tokens=(len(text.split()) + reasoning_tokens) * prompt.choices,
    )


def _text(prompt: Prompt, switches: Switches) -> str:
    if words := switches.number("words"):
        return " ".join(f"word{i}" for i in range(1, words + 1))
    if prompt.tool_output is not None:
        text = f"The tool answered: {prompt.tool_output}"
    elif reply := REPLY.search(prompt.text):
        text = reply[1].strip()
    elif prompt.media:
        text = f"I see {' and '.join(prompt.media)}."
    else:
        words = len(prompt.text.split())
        text = f"Hello from the simulated provider. Words in your message: {words}."
    return _as_json(text, prompt) if prompt.wants_json else text


def _as_json(text: str, prompt: Prompt) -> str:
    try:
        json.loads(text)
    except ValueError:
        value = {"answer": text} if prompt.schema is None else instance(prompt.schema)
        return encode(value).decode()
    return text


def _stopped(text: str, prompt: Prompt) -> str:
    found = [at for stop in prompt.stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


def _limited(text: str, limit: int | None, reasoning_tokens: int) -> str:
    if limit is None or limit >= len(text.split()) + reasoning_tokens:
        return text
    words = re.findall(r"\s*\S+", text)
    return "".join(words[: max(0, limit - reasoning_tokens)])
