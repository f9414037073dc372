"""The provider's error answers."""

from local.provider_simulator.wire import JSON_TYPE, Json, Reply, Step, encode

# The type, code and message of an error by status.
DEFAULTS = {
    400: ("invalid_request_error", "invalid_request", "The request is not valid."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "The API key is missing or not valid. Send it as: Authorization: Bearer ak_...",
    ),
    402: ("insufficient_credits", "insufficient_credits", "No credits left. Add credits."),
    403: ("permission_error", "permission_denied", "This key may not use this resource."),
    404: (
        "invalid_request_error",
        "not_found",
        "Unknown path. The base URL ends in /v1, the path is /chat/completions, "
        "/responses (POST) or /models (GET).",
    ),
    408: ("timeout_error", "request_timeout", "The request took too long."),
    409: ("conflict_error", "conflict", "The request conflicts with another one."),
    413: ("invalid_request_error", "request_too_large", "The request body is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request was refused."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded"),
    500: ("server_error", "server_error", "The server had an error."),
}


class ProviderError(Exception):
    """A rejected request; type, code and message default by status."""

    def __init__(
        self, status: int, message: str = "", *, code: str = "", param: str | None = None
    ) -> None:
        fallback = DEFAULTS[400 if status < 500 else 500]  # noqa: PLR2004
        self.kind, default_code, default_message = DEFAULTS.get(status, fallback)
        self.status = status
        self.message = message or default_message
        self.code = code or default_code
        self.param = param
        super().__init__(self.message)

    def body(self) -> Json:
        """Return the error in OpenAI's shape."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def error_reply(error: ProviderError, shape: str) -> Reply:
    """Return an error response in the shape that the switch `error-body` selects."""
    page = f"<html><body><h1>{error.status}</h1></body></html>\n"
    content_type, data = {
        "openai": (JSON_TYPE, encode(error.body())),
        "detail": (JSON_TYPE, encode({"detail": error.message})),
        "html": ("text/html", page.encode()),
        "empty": ("text/plain", b""),
    }[shape]
    steps = [Step(data=data)]
    return Reply(status=error.status, content_type=content_type, steps=steps, length=len(data))
