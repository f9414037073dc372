"""The provider's error answers."""

from dataclasses import dataclass

from local.provider_simulator.wire import JSON_TYPE, Json, Reply, encode, whole


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the provider says by default with one status."""

    kind: str
    code: str
    message: str


REFUSALS = {
    400: Refusal("invalid_request_error", "invalid_request", "The request is not valid."),
    401: Refusal(
        "invalid_request_error",
        "invalid_api_key",
        "The API key is missing or not valid. Send it as: Authorization: Bearer ak_...",
    ),
    402: Refusal("insufficient_credits", "insufficient_credits", "No credits left. Add credits."),
    403: Refusal("permission_error", "permission_denied", "This key may not use this resource."),
    404: Refusal(
        "invalid_request_error",
        "not_found",
        "There is no such path. The base URL ends in /v1, the path is /chat/completions, "
        "/responses (POST) or /models (GET).",
    ),
    408: Refusal("timeout_error", "request_timeout", "The request took too long."),
    409: Refusal("conflict_error", "conflict", "The request conflicts with another one."),
    413: Refusal("invalid_request_error", "request_too_large", "The request body is too large."),
    422: Refusal("invalid_request_error", "unprocessable_entity", "The request was refused."),
    429: Refusal("rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded"),
    500: Refusal("server_error", "server_error", "The server had an error."),
}


class ProviderError(Exception):
    """A request that the provider refuses; what is not given follows from the status."""

    def __init__(self, status: int, message: str = "", *, code: str = "", param: str | None = None):
        refusal = REFUSALS.get(status, REFUSALS[400 if status < 500 else 500])  # noqa: PLR2004
        self.status = status
        self.message = message or refusal.message
        self.code = code or refusal.code
        self.kind = refusal.kind
        self.param = param
        super().__init__(self.message)

    def body(self) -> Json:
        """Return the error in OpenAI's shape."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def error_reply(error: ProviderError, shape: str) -> Reply:
    """Return *error* in the shape that the switch `error-body` names."""
    if shape == "empty":
        return whole(error.status, "text/plain", b"")
    if shape == "html":
        page = f"<html><body><h1>{error.status}</h1></body></html>\n"
        return whole(error.status, "text/html", page.encode())
    body = {"detail": error.message} if shape == "detail" else error.body()
    return whole(error.status, JSON_TYPE, encode(body))
