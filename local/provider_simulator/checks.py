"""Validate requests as the provider does."""

from typing import Any

from local.provider_simulator import models
from local.provider_simulator.content.prompts import TEXT_PARTS, media_url
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import Json, ProviderError

CHAT_KEYS = {
    "audio", "cache_salt", "flagged_categories", "frequency_penalty", "function_call", "functions",
    "include_reasoning", "logit_bias", "logprobs", "max_tokens", "messages", "metadata",
    "modalities", "model", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "thinking", "tool_choice", "tools", "top_logprobs", "top_p",
    "user", "verbosity", "web_search_options",
}  # fmt: skip
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
RANGES = {
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "max_tokens": (1, 10**9),
    "max_output_tokens": (1, 10**9),
}
NESTED = {
    "response_format": "json_schema",
    "stream_options": "",
    "text": "format",
    "reasoning": "",
}
COUNTS = ("n", "max_tokens", "max_output_tokens")


def check_chat(body: Json, switches: Switches) -> None:
    """Raise the provider's error for an invalid chat completion request."""
    unknown = sorted(body.keys() - CHAT_KEYS)
    if unknown and switches["unknown-keys"] == "422":
        raise ProviderError(422, f"Unknown parameter: {unknown[0]}.", param=unknown[0])
    model = _model(body, switches)
    messages = body.get("messages")
    _require(isinstance(messages, list), "messages", "must be an array of {role, content}")
    _require(bool(messages), "messages", "must contain at least one message")
    for index, message in enumerate(messages or []):
        _message(message, f"messages[{index}]", model)
    _settings(body, model)
    effort = body.get("reasoning_effort", "high")
    _require(effort in EFFORTS, "reasoning_effort", f"must be one of {', '.join(EFFORTS)}")
    both = body.get("tools") and body.get("web_search_options")
    _require(not both, "web_search_options", "cannot be used together with tools")
    for name, key in (("tools", "function"), ("functions", "")):
        _functions(body.get(name) or [], name, key)


def check_responses(body: Json, switches: Switches) -> None:
    """Raise the provider's error for an invalid Responses request."""
    model = _model(body, switches)
    value = body.get("input", "")
    _require(isinstance(value, str | list), "input", "must be a string or an array of items")
    _require(value != [], "input", "must contain at least one item")
    for index, item in enumerate(value if isinstance(value, list) else []):
        where = f"input[{index}]"
        _require(isinstance(item, dict), where, "must be an object")
        if item.get("type", "message") == "message":
            _message(item, where, model)
        elif "output" in item:
            _content(item["output"], f"{where}.output", model)
    _settings(body, model)
    _functions(body.get("tools") or [], "tools", "")
    if body.get("previous_response_id") and switches["previous-response"] == "reject":
        message = "previous_response_id is not supported: this endpoint is stateless. Send the "
        raise ProviderError(400, message + "whole input.", param="previous_response_id")


def _require(valid: bool, param: str, rule: str) -> None:
    if not valid:
        raise ProviderError(400, f"Invalid value for '{param}': it {rule}.", param=param)


def _model(body: Json, switches: Switches) -> Json:
    name = body.get("model")
    _require(isinstance(name, str) and bool(name), "model", "must be the id of a model")
    model = models.find(str(name))
    if model is None:
        known = ", ".join(models.BY_ID)
        message = f"Unsupported model '{name}'. Known models: {known}."
        raise ProviderError(400, message, code="model_not_found", param="model")
    if model["id"] == models.LOCKABLE and switches.on("locked-models"):
        message = f"The model '{name}' is locked for this project. Choose another model."
        raise ProviderError(403, message, code="model_locked", param="model")
    return model


def _message(message: Any, where: str, model: Json) -> None:
    _require(isinstance(message, dict), where, "must be an object with role and content")
    role = message.get("role")
    _require(role in ROLES, f"{where}.role", f"must be one of {', '.join(ROLES)}")
    if message.get("content") is not None or role != "assistant":
        _content(message.get("content"), f"{where}.content", model)


def _content(content: Any, where: str, model: Json) -> None:
    _require(isinstance(content, str | list), where, "must be a string or an array of parts")
    for index, part in enumerate(content if isinstance(content, list) else []):
        _part(part, f"{where}[{index}]", model)


def _part(part: Any, where: str, model: Json) -> None:
    _require(isinstance(part, dict), where, "must be an object with a type")
    kind = part.get("type")
    if kind in (*TEXT_PARTS, "refusal"):
        text = part.get("refusal" if kind == "refusal" else "text")
        _require(isinstance(text, str), f"{where}.text", "must be a string")
        return
    is_chat = where.startswith("messages")
    media = ("image_url", "video_url") if is_chat else ("input_image",)
    _require(kind in media, f"{where}.type", f"must be a kind of text or {', '.join(media)}")
    if "image" not in model["input_modalities"]:
        message = f"The model '{model['id']}' does not accept image inputs."
        raise ProviderError(400, message, code="media_images_not_supported", param=where)
    url = media_url(part)
    is_url = url.startswith(("https://", "http://", "data:"))
    _require(is_url, f"{where}.image_url", "must be an https or data URL")


def _settings(body: Json, model: Json) -> None:
    for outer, inner in NESTED.items():
        value = body.get(outer)
        _require(isinstance(value, dict | None), outer, "must be an object")
        within = (value or {}).get(inner)
        _require(isinstance(within, dict | None), f"{outer}.{inner}", "must be an object")
    _require(isinstance(body.get("instructions"), str | None), "instructions", "must be a string")
    _require(isinstance(body.get("stream"), bool | None), "stream", "must be true or false")
    stop = body.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    is_valid = isinstance(stops, list) and all(isinstance(stop, str) for stop in stops)
    _require(is_valid, "stop", "must be a string or an array of strings")
    _numbers(body, model)


def _numbers(body: Json, model: Json) -> None:
    maximum = model["sampling_limits"]["temperature"]["maximum"]
    ranges = {**RANGES, "temperature": (0, maximum)}
    for name, (low, high) in ranges.items():
        value = body.get(name)
        if value is not None:
            is_number = isinstance(value, int if name in COUNTS else int | float)
            is_valid = is_number and not isinstance(value, bool) and low <= value <= high
            _require(is_valid, name, f"must be a number from {low} to {high} for {model['id']}")


def _functions(entries: Any, param: str, key: str) -> None:
    _require(isinstance(entries, list), param, "must be an array")
    for index, entry in enumerate(entries):
        where = f"{param}[{index}]"
        function = entry.get(key) if key and isinstance(entry, dict) else entry
        function = function if isinstance(function, dict) else {}
        if not key and function.get("type", "function") != "function":
            continue  # a built-in tool, such as web search
        named = isinstance(function.get("name"), str)
        _require(named, where, "must describe a function with name, description and parameters")
        parameters = function.get("parameters")
        _require(isinstance(parameters, dict | None), f"{where}.parameters", "must be a schema")
