"""What the simulator says: the same answer to the same question, always."""

import json
import re
from dataclasses import dataclass
from itertools import pairwise

from local.provider_simulator.content.questions import Prompt
from local.provider_simulator.content.schemas import instance
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import encode

REASONING = "The user wants a short answer."
REPLY = re.compile(r"\b(?:reply|respond) with:\s*(.+)", re.IGNORECASE | re.DOTALL)
PROMPT_OVERHEAD_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A text or a call of one function, and what it cost in tokens."""

    text: str = ""
    function: str = ""
    arguments: str = ""
    reasoning: str = ""
    is_cut: bool = False
    prompt_tokens: int
    output_tokens: int

    @property
    def total_tokens(self) -> int:
        """Return what is billed."""
        return self.prompt_tokens + self.output_tokens


def answer(question: Prompt, switches: Switches) -> Answer:
    """Answer a question."""
    reasoning = REASONING if question.reasons else ""
    eaten = len(reasoning.split()) if switches.on("reasoning-eats-tokens") else 0
    prompt_tokens = question.prompt_words + PROMPT_OVERHEAD_TOKENS
    if question.function is not None and REPLY.search(question.text) is None:
        arguments = encode(instance(question.function.get("parameters") or {"type": "object"}))
        return Answer(
            function=question.function["name"],
            arguments=arguments.decode(),
            reasoning=reasoning,
            prompt_tokens=prompt_tokens,
            output_tokens=(len(arguments.split()) + eaten) * question.choices,
        )
    full = _stopped(_text(question, switches), question)
    text = _limited(full, question.word_limit, eaten)
    return Answer(
        text=text,
        reasoning=reasoning,
        is_cut=len(text) < len(full),
        prompt_tokens=prompt_tokens,
        output_tokens=(len(text.split()) + eaten) * question.choices,
    )


def pieces(text: str, count: int) -> list[str]:
    """Split a text into *count* parts of nearly the same length, none of them empty."""
    count = max(1, min(count, len(text)))
    marks = [i * len(text) // count for i in range(count + 1)]
    return [text[a:b] for a, b in pairwise(marks) if a < b]


def _text(question: Prompt, switches: Switches) -> str:
    if words := switches.number("words"):
        return " ".join(f"word{i}" for i in range(1, words + 1))
    if question.tool_output is not None:
        said = f"The tool answered: {question.tool_output}"
    elif reply := REPLY.search(question.text):
        said = reply[1].strip()
    elif question.media:
        said = f"I see {' and '.join(question.media)}."
    else:
        words = len(question.text.split())
        said = f"Hello from the simulated provider. Words in your message: {words}."
    return _as_json(said, question) if question.wants_json else said


def _as_json(said: str, question: Prompt) -> str:
    try:
        json.loads(said)
    except ValueError:
        value = {"answer": said} if question.schema is None else instance(question.schema)
        return encode(value).decode()
    return said


def _stopped(text: str, question: Prompt) -> str:
    found = [at for stop in question.stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


def _limited(text: str, limit: int | None, eaten: int) -> str:
    if limit is None or limit >= len(text.split()) + eaten:
        return text
    words = re.findall(r"\s*\S+", text)
    return "".join(words[: max(0, limit - eaten)])
