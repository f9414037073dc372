"""What is known of one limit as requests go out and answers come in, on a clock that is set."""

from __future__ import annotations

from llm_relay.providers.rate_limit.headers import RateLimitStatus
from llm_relay.providers.rate_limit.limiter import PATIENCE_SECONDS, Permit, RateLimiter
from llm_relay.providers.rate_limit.window import RateLimitWindow


def known(
    left: int, limit: int | None = 4, seconds: float = 1.0, now: float = 0.0
) -> RateLimitWindow:
    """Return a window whose provider has just answered a request."""
    window = RateLimitWindow()
    number = window.enter(now, 0).number
    window.hear(number, RateLimitStatus(left, limit, seconds), now)
    return window


def sent_of(window: RateLimitWindow, count: int, now: float) -> int:
    """Return how many of so many requests are sent at once."""
    return sum(window.enter(now, PATIENCE_SECONDS).number > 0 for _ in range(count))


def test_nothing_is_held_back_before_the_first_answer() -> None:
    window = RateLimitWindow()
    assert sent_of(window, 100, 0) == 100
    assert window.has_room(0)
    assert window.share(0) is None


def test_requests_beyond_what_is_left_wait_for_the_window_that_has_room_for_them() -> None:
    window = known(left=2)
    assert sent_of(window, 2, 0.5) == 2
    waits = [window.enter(0.5, PATIENCE_SECONDS).wait for _ in range(5)]
    assert all(0.5 <= wait <= 0.6 for wait in waits[:4])
    assert 1.5 <= waits[4] <= 1.6


def test_a_request_that_waited_goes_before_those_that_come_with_the_next_window() -> None:
    window = known(left=0)
    assert sent_of(window, 3, 0.5) == 0
    assert sent_of(window, 4, 1.01) == 1
    assert all(window.step(1.02, is_last=False).number for _ in range(3))
    assert window.step(1.03, is_last=False).wait > 0


def test_nobody_waits_for_a_window_that_is_further_away_than_their_patience() -> None:
    assert sent_of(known(left=0, seconds=PATIENCE_SECONDS + 1), 3, 0) == 3
    assert sent_of(known(left=0), 100, 0) == 96  # the window after the next begins in 2 s


def test_a_request_whose_patience_is_over_is_sent_whatever_is_known() -> None:
    window = known(left=0)
    assert window.enter(0, PATIENCE_SECONDS).wait
    window.hear(2, RateLimitStatus(0, 4, 60), 0.5)
    assert window.step(1.5, is_last=True).number


def test_an_answer_does_not_know_of_requests_that_were_sent_after_its_own() -> None:
    window = known(left=4, limit=10)
    first, second = window.enter(0, 0).number, window.enter(0, 0).number
    window.hear(first, RateLimitStatus(2, 10, 1), 0.1)
    assert sent_of(window, 3, 0.1) == 1
    window.hear(second, RateLimitStatus(1, 10, 1), 0.1)
    window.hear(first, RateLimitStatus(9, 10, 1), 0.1)
    assert not window.has_room(0.1)


def test_a_late_answer_does_not_end_the_window_that_has_begun_since() -> None:
    window = known(left=4)
    late = window.enter(0, 0).number
    assert sent_of(window, 2, 1.01) == 2
    window.hear(late, RateLimitStatus(0, 4, 0.05), 1.02)
    assert window.has_room(1.02)


def test_a_full_window_is_presumed_as_long_as_requests_are_sent() -> None:
    window = known(left=0)
    for second in (1.1, 2.2, 3.3):
        assert window.has_room(second)
        assert sent_of(window, 4, second) == 4
        assert not window.has_room(second)
    assert window.has_room(4.4)
    assert window.share(5.5) is None


def test_without_a_number_of_requests_nothing_is_presumed() -> None:
    window = known(left=0, limit=None)
    assert sent_of(window, 9, 0.5) == 0
    assert sent_of(window, 9, 1.1) == 9


def test_batches_leave_a_tenth_to_callers_and_less_towards_the_end() -> None:
    window = known(left=100, limit=100, seconds=60)
    assert window.share(0) == (90, 60)
    left, seconds = window.share(54) or (0.0, 0.0)
    assert (round(left), seconds) == (99, 6)


def test_rows_are_spread_over_the_limits_of_all_keys_and_of_their_model_alone() -> None:
    headroom = RateLimiter(lambda: 0.0)
    assert headroom.spacing("m") == 0

    def hear(key: str, model: str, remaining: int) -> None:
        window = headroom.window(key, model)
        told = {"limit": 100, "remaining": remaining}
        headers = {f"x-ratelimit-{name}-requests": str(count) for name, count in told.items()}
        place = Permit(window, window.enter(0, 0).number, lambda: 0.0)
        place.heard(200, headers | {"x-ratelimit-reset-requests": "60s"})

    hear("a", "m", 70)
    assert headroom.spacing("m") == 1
    hear("b", "m", 70)
    assert headroom.spacing("m") == 0.5
    hear("a", "other", 10)
    assert headroom.spacing("m") == 0.5
    assert headroom.spacing("other") == 5


def test_limits_of_models_that_nobody_asked_for_lately_are_forgotten() -> None:
    headroom = RateLimiter(lambda: 0.0)
    first = headroom.window("k", "m0")
    for number in range(1, 65):
        headroom.window("k", f"m{number}")
    assert headroom.window("k", "m64") is headroom.window("k", "m64")
    assert headroom.window("k", "m0") is not first
