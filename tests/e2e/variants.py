"""What the suites of all clients ask for, and the kinds of stream in which it may arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = "abliterated-model"

# Six rows in which every value of a switch meets every value of every other switch.
SWITCHES = ("responses-stream", "keep-alive", "done", "sequence-numbers", "tool-events")
ROWS = (
    ("full", "comment", "off", "off", "provider"),
    ("minimal", "comment", "on", "on", "openai"),
    ("full", "blank", "off", "on", "openai"),
    ("minimal", "blank", "on", "off", "provider"),
    ("full", "none", "on", "off", "openai"),
    ("minimal", "none", "off", "on", "provider"),
)
STREAMS = tuple(
    f"{MODEL}@" + ";".join(f"{name}={value}" for name, value in zip(SWITCHES, row, strict=True))
    for row in ROWS
)


def _on_each(models: Sequence[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("model", models, ids=lambda model: model.split("@")[1])


on_every_stream = _on_each(STREAMS)
# Those in which the provider itself tells the usage and the status of a response.
on_every_full_stream = _on_each([model for model in STREAMS if "responses-stream=full" in model])

TEXT = "streams arrive whole"
ASK = f"Reply with: {TEXT}"
ASK_FOR_AN_OBJECT = "Where is it warm today?"
ASK_FOR_A_TOOL = "What is the weather there?"
TOOL_ANSWER = "The tool answered: sunny in example"

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
IMAGES = {
    "https://example.com/stonehenge.jpg": "I see an image: stonehenge.jpg.",
    PIXEL: "I see an image: image/png, 70 bytes.",
}


class Weather(BaseModel):
    """The weather in a city, in degrees Celsius."""

    city: str
    degrees: int


# What the simulator makes of that schema.
WEATHER = Weather(city="example", degrees=1)


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"
