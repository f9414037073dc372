"""Format chat completions, buffered and streamed."""

from collections.abc import Iterator
from typing import Any

from local.provider_simulator.endpoints.completion import CREATED, Completion
from local.provider_simulator.wire import DONE, Json, Step, frame


class ChatCompletion(Completion):
    """The answer of POST /v1/chat/completions."""

    def body(self) -> Json:
        """Return the buffered answer."""
        choices = [self._choice(index) for index in range(self.prompt.choices)]
        usage = {} if self.switches["usage"] == "never" else {"usage": self._usage()}
        credit_fields = self.credit_fields(streamed=False)
        return {**self._head("chat.completion"), "choices": choices, **usage, **credit_fields}

    def steps(self) -> list[Step]:
        """Return the frames of the streamed answer."""
        steps = [step for i in range(self.prompt.choices) for step in self._choice_steps(i)]
        when = self.switches["usage"]
        has_usage = when == "always" or (when == "asked" and self.prompt.wants_usage)
        totals = ({"usage": self._usage()} if has_usage else {}) | self.credit_fields(streamed=True)
        if totals:
            steps.append(self._chunk({"choices": [], **totals}))
        return steps if self.switches["done"] == "off" else [*steps, DONE]

    def _head(self, kind: str) -> Json:
        identifier = self.identifier("chatcmpl").replace("_", "-")
        return {"id": identifier, "object": kind, "created": CREATED, "model": self.model}

    def _choice(self, index: int) -> Json:
        name, text = self.answer.function, self.answer.text
        content = None if name else text or None
        message = {"role": "assistant", "content": content, **self._reasoning()}
        if name:
            function = {"name": name, "arguments": text}
            message |= self._call(function, id=self.identifier("call", index), type="function")
        return {"index": index, "message": message, "finish_reason": self._finish_reason()}

    def _reasoning(self) -> Json:
        field = self.switches["reasoning-field"]
        fields = {"both": ("reasoning", "reasoning_content"), "none": ()}.get(field, (field,))
        return dict.fromkeys(fields, self.answer.reasoning) if self.answer.reasoning else {}

    def _call(self, function: Json, **fields: Any) -> Json:
        if self.prompt.legacy_function:
            return {"function_call": function}
        return {"tool_calls": [{**fields, "function": function}]}

    def _finish_reason(self) -> str:
        if self.answer.function:
            return "function_call" if self.prompt.legacy_function else "tool_calls"
        return "length" if self.answer.is_truncated else "stop"

    def _usage(self) -> Json:
        return {
            "prompt_tokens": self.answer.prompt_tokens,
            "completion_tokens": self.answer.output_tokens,
            "total_tokens": self.answer.total_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def _choice_steps(self, index: int) -> Iterator[Step]:
        yield self._delta(index, {"role": "assistant", "content": ""})
        if reasoning := self._reasoning():
            yield self._delta(index, reasoning)
        name = self.answer.function
        if name:
            head = {"index": 0, "id": self.identifier("call", index), "type": "function"}
            yield self._delta(index, self._call({"name": name, "arguments": ""}, **head))
        for piece in self.split(self.answer.text):
            delta = self._call({"arguments": piece}, index=0) if name else {"content": piece}
            yield self._delta(index, delta, is_piece=True)
        yield self._delta(index, {}, finish_reason=self._finish_reason())

    def _delta(
        self, index: int, delta: Json, *, finish_reason: str | None = None, is_piece: bool = False
    ) -> Step:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return self._chunk({"choices": [choice]}, is_piece=is_piece)

    def _chunk(self, fields: Json, *, is_piece: bool = False) -> Step:
        data = frame({**self._head("chat.completion.chunk"), **fields})
        return Step(data=data, is_piece=is_piece)
