"""The provider's models and their capabilities."""

from dataclasses import dataclass, replace

from local.provider_simulator.wire import Json

ALIASES = {"abliteration-model": "abliterated-model"}
LOCKABLE = "abliterated-model-large-v2"
PARAMETERS = [
    "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "stop", "seed", "max_tokens", "logit_bias",
]  # fmt: skip
FEATURES = ["tools", "json_mode", "structured_outputs", "logprobs", "web_search", "reasoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model; prices are US dollars per token."""

    name: str
    title: str
    created: int
    context_length: int
    max_output_length: int
    input_price: str
    output_price: str
    cached_price: str
    max_temperature: float
    accepts_media: bool
    quantization: str


BASE = Model(
    name="abliterated-model", title="Abliterated Model", created=1781324687,
    context_length=262144, max_output_length=262134, input_price="0.000001",
    output_price="0.000003", cached_price="0.0000001", max_temperature=2, accepts_media=True,
    quantization="bf16",
)  # fmt: skip
LARGE = Model(
    name="abliterated-model-large", title="Abliterated Model Large", created=1781324687,
    context_length=1000000, max_output_length=999990, input_price="0.000003",
    output_price="0.000005", cached_price="0.0000003", max_temperature=1, accepts_media=False,
    quantization="fp8",
)  # fmt: skip
LARGE_V2 = replace(LARGE, name=LOCKABLE, title="Abliterated Model Large v2", created=1787961600)
MODELS = (BASE, LARGE, LARGE_V2)
BY_NAME = {model.name: model for model in MODELS}


def find(name: str) -> Model | None:
    """Return the model with a name or alias, or None."""
    return BY_NAME.get(ALIASES.get(name, name))


def listing(*, locks: bool) -> Json:
    """Return the answer of GET /v1/models."""
    data = [_entry(model, locked=locks and model.name == LOCKABLE) for model in MODELS]
    return {"object": "list", "data": data}


def _entry(model: Model, *, locked: bool) -> Json:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "abliteration.ai",
        "name": model.title,
        "display_name": model.title,
        "access": _access(locked),
        "input_modalities": ["text", "image", "video"] if model.accepts_media else ["text"],
        "output_modalities": ["text"],
        "pricing": _pricing(model),
        "supported_sampling_parameters": PARAMETERS,
        "sampling_limits": _sampling_limits(model),
        "sampling_limits_revision": 1,
        "supported_features": FEATURES,
        "is_ready": True,
        "quantization": model.quantization,
        "context_length": model.context_length,
        "max_output_length": model.max_output_length,
        "root": "abliterated-model",
        "parent": None,
    }


def _access(locked: bool) -> Json:
    checks = ["subscription"] if locked else []
    return {
        "required_checks": checks,
        "available": not locked,
        "locked": locked,
        "missing_requirements": checks,
    }


def _pricing(model: Model) -> Json:
    return {
        "prompt": model.input_price,
        "completion": model.output_price,
        "image": "0",
        "request": "0",
        "input_cache_read": model.cached_price,
    }


def _sampling_limits(model: Model) -> Json:
    top_p: Json = {"minimum": 0, "minimum_inclusive": False}
    if not model.accepts_media:
        top_p = {"minimum": 0.01, "minimum_inclusive": True}
    return {
        "temperature": {
            "minimum": 0,
            "maximum": model.max_temperature,
            "minimum_inclusive": True,
            "maximum_inclusive": True,
        },
        "top_p": {**top_p, "maximum": 1, "maximum_inclusive": True},
    }
