"""Format Responses answers, buffered and streamed."""

from collections.abc import Iterator

from local.provider_simulator.endpoints.completion import CREATED, Completion
from local.provider_simulator.endpoints.items import Event, output_items
from local.provider_simulator.wire import DONE, Json, Step, frame


class Response(Completion):
    """The answer of POST /v1/responses."""

    def body(self) -> Json:
        """Return the buffered answer."""
        return {**self._finished(), **self.credit_fields(streamed=False)}

    def steps(self) -> list[Step]:
        """Return the frames of the streamed answer."""
        minimal = self.switches["responses-stream"] == "minimal"
        numbered = not minimal and self.switches.on("sequence-numbers")
        steps = []
        for number, event in enumerate(self._events(minimal=minimal)):
            numbering = {"sequence_number": number} if numbered else {}
            data = frame({"type": event.type, **event.fields, **numbering}, event.type)
            steps.append(Step(data=data, is_piece=event.is_piece, is_terminal=event.is_terminal))
        return [*steps, DONE] if self.switches.on("done") else steps

    @property
    def _status(self) -> str:
        return "incomplete" if self.answer.is_truncated else "completed"

    def _head(self, status: str) -> Json:
        return {
            "id": self.identifier("resp"),
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "model": self.model,
        }

    def _finished(self) -> Json:
        output = [item.done for item in output_items(self, self._status)]
        response = {**self._head(self._status), "output": output}
        if self.answer.is_truncated:
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        if self.switches["usage"] != "never":
            response["usage"] = {
                "input_tokens": self.answer.prompt_tokens,
                "output_tokens": self.answer.output_tokens,
                "total_tokens": self.answer.total_tokens,
            }
        return response

    def _events(self, *, minimal: bool) -> Iterator[Event]:
        items = output_items(self, self._status)
        if self.switches["web-search"] == "first":
            search = items.pop(0)
            yield from search.minimal_events() if minimal else search.full_events(0)
        started = {"response": {**self._head("in_progress"), "output": []}}
        yield Event("response.created", started)
        if not minimal:
            yield Event("response.in_progress", started)
        for index, item in enumerate(items):
            yield from item.minimal_events() if minimal else item.full_events(index)
        last = {**self._finished(), **self.credit_fields(streamed=True)}
        if minimal:
            last = self._head("completed")
        yield Event(f"response.{last['status']}", {"response": last}, is_terminal=True)
