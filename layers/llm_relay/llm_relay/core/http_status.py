"""Statuses of HTTP answers."""

_RETRYABLE = {408, 409, 429}
_SERVER_ERROR = 500


def is_retryable(status: int) -> bool:
    """Return whether a later attempt may succeed."""
    return status in _RETRYABLE or status >= _SERVER_ERROR
