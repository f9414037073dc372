"""Logs internal errors without any content of a request."""

from functools import lru_cache

from aws_lambda_powertools import Logger


def log_internal_error(error: Exception, request_id: str) -> None:
    """Log where our own code failed, without the message: it may quote what came in."""
    traceback = error.__traceback__
    stack = []
    while traceback:
        code = traceback.tb_frame.f_code
        stack.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    fields = {"request_id": request_id, "error": type(error).__name__, "stack": stack}
    _logger().error("internal error", extra=fields)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()
