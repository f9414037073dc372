"""Response headers of the provider."""

import time
from email.utils import formatdate

from local.provider_simulator.metering import RateWindow
from local.provider_simulator.switches import Switches

TOO_MANY = 429
DATE_IN_SECONDS = 2


def answer_headers(number: int, switches: Switches, window: RateWindow) -> dict[str, str]:
    """Return the request id and the rate limit headers."""
    name = switches["request-id"]
    identifier = {} if name == "none" else {name: f"req_sim{number:06d}"}
    return {**identifier, **window.headers()}


def retry_after(status: int, switches: Switches, window: RateWindow) -> dict[str, str]:
    """Return the Retry-After header of an error, or an empty dictionary."""
    value = switches["retry-after"]
    if value == "missing" or (value == "auto" and status != TOO_MANY):
        return {}
    if value == "date":
        value = formatdate(time.time() + DATE_IN_SECONDS, usegmt=True)
    if value == "auto":
        value = str(window.seconds_left() if window.is_exceeded() else 1)
    return {"Retry-After": value}
