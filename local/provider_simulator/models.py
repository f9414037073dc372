"""The provider's models, as GET /v1/models lists them."""

from local.provider_simulator.wire import Json

ALIASES = {"abliteration-model": "abliterated-model"}
LOCKABLE = "abliterated-model-large-v2"
UNLOCKED = {"required_checks": [], "available": True, "locked": False, "missing_requirements": []}
LOCKED = {
    "required_checks": ["subscription"], "available": False, "locked": True,
    "missing_requirements": ["subscription"],
}  # fmt: skip
BASE: Json = {
    "id": "abliterated-model",
    "object": "model",
    "created": 1781324687,
    "owned_by": "abliteration.ai",
    "name": "Abliterated Model",
    "display_name": "Abliterated Model",
    "access": UNLOCKED,
    "input_modalities": ["text", "image", "video"],
    "output_modalities": ["text"],
    "pricing": {
        "prompt": "0.000001", "completion": "0.000003", "image": "0", "request": "0",
        "input_cache_read": "0.0000001",
    },
    "supported_sampling_parameters": [
        "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty",
        "repetition_penalty", "stop", "seed", "max_tokens", "logit_bias",
    ],
    "sampling_limits": {
        "temperature": {
            "minimum": 0, "maximum": 2, "minimum_inclusive": True, "maximum_inclusive": True
        },
        "top_p": {
            "minimum": 0, "minimum_inclusive": False, "maximum": 1, "maximum_inclusive": True
        },
    },
    "sampling_limits_revision": 1,
    "supported_features": [
        "tools", "json_mode", "structured_outputs", "logprobs", "web_search", "reasoning"
    ],
    "is_ready": True,
    "quantization": "bf16",
    "context_length": 262144,
    "max_output_length": 262134,
    "root": "abliterated-model",
    "parent": None,
}  # fmt: skip
LARGE: Json = BASE | {
    "id": "abliterated-model-large",
    "name": "Abliterated Model Large",
    "display_name": "Abliterated Model Large",
    "input_modalities": ["text"],
    "pricing": BASE["pricing"] | {
        "prompt": "0.000003", "completion": "0.000005", "input_cache_read": "0.0000003"
    },
    "sampling_limits": {
        "temperature": BASE["sampling_limits"]["temperature"] | {"maximum": 1},
        "top_p": BASE["sampling_limits"]["top_p"] | {"minimum": 0.01, "minimum_inclusive": True},
    },
    "quantization": "fp8",
    "context_length": 1000000,
    "max_output_length": 999990,
}  # fmt: skip
LARGE_V2: Json = LARGE | {
    "id": LOCKABLE,
    "created": 1787961600,
    "name": "Abliterated Model Large v2",
    "display_name": "Abliterated Model Large v2",
}
BY_ID = {model["id"]: model for model in (BASE, LARGE, LARGE_V2)}


def find(name: str) -> Json | None:
    """Return the model with an id or alias, or None."""
    return BY_ID.get(ALIASES.get(name, name))


def listing(*, locks: bool) -> Json:
    """Return the answer of GET /v1/models."""
    locked = {LOCKABLE: {"access": LOCKED}} if locks else {}
    data = [model | locked.get(name, {}) for name, model in BY_ID.items()]
    return {"object": "list", "data": data}
