"""What is known of one limit as requests go out and answers come in, on a clock that is set."""

from __future__ import annotations

from llm_relay.providers.rate_limit.tracker import RateLimitTracker, RateLimitWindow


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Limit:
    """A limit of the provider, whose clock the test sets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.window = RateLimitWindow(self.clock)

    def at(self, now: float) -> RateLimitWindow:
        self.clock.now = now
        return self.window

    def send(self, count: int, now: float) -> int:
        """Send requests; return the number of the last."""
        return [self.at(now).count_request() for _ in range(count)][-1]

    def learn(
        self, number: int, remaining: int, limit: int | None, seconds: float, now: float
    ) -> None:
        self.at(now).learn(number, 200, headers(remaining, limit, seconds))


def headers(remaining: int, limit: int | None, seconds: float) -> dict[str, str]:
    reported = {"remaining": remaining, "reset": f"{seconds}s"}
    if limit is not None:
        reported["limit"] = limit
    return {f"x-ratelimit-{name}-requests": str(value) for name, value in reported.items()}


def known(remaining: int, limit: int | None = 4, seconds: float = 1.0) -> Limit:
    """Return a limit whose provider has just answered a request."""
    known = Limit()
    known.learn(known.send(1, 0), remaining, limit, seconds, 0)
    return known


def test_nothing_is_known_before_the_first_answer() -> None:
    limit = Limit()
    limit.send(100, 0)
    assert not limit.at(0).is_exhausted()
    assert limit.at(0).batch_share() is None


def test_an_answer_does_not_cover_requests_sent_after_its_own() -> None:
    limit = known(4, limit=10)
    first, second = limit.send(1, 0), limit.send(1, 0)
    limit.learn(first, 2, 10, 1, 0.1)
    assert not limit.at(0.1).is_exhausted()
    limit.send(1, 0.1)
    assert limit.at(0.1).is_exhausted()
    limit.learn(second, 1, 10, 1, 0.1)
    limit.learn(first, 9, 10, 1, 0.1)
    assert limit.at(0.1).is_exhausted()


def test_a_late_answer_does_not_end_the_window_that_has_begun_since() -> None:
    limit = known(4)
    late = limit.send(1, 0)
    limit.send(2, 1.01)
    limit.learn(late, 0, 4, 0.05, 1.02)
    assert not limit.at(1.02).is_exhausted()


def test_a_full_window_is_assumed_while_requests_are_sent() -> None:
    limit = known(0)
    for second in (1.1, 2.2, 3.3):
        assert not limit.at(second).is_exhausted()
        limit.send(3, second)
        assert not limit.at(second).is_exhausted()
        limit.send(1, second)
        assert limit.at(second).is_exhausted()
    assert not limit.at(4.4).is_exhausted()
    assert limit.at(5.5).batch_share() is None


def test_without_a_request_limit_nothing_is_assumed() -> None:
    limit = known(0, limit=None)
    assert limit.at(0.5).is_exhausted()
    limit.send(9, 1.1)
    assert not limit.at(1.1).is_exhausted()


def test_batches_leave_a_tenth_to_callers_and_less_near_the_reset() -> None:
    limit = known(100, limit=100, seconds=60)
    assert limit.at(0).batch_share() == (90, 60)
    remaining, seconds = limit.at(54).batch_share() or (0.0, 0.0)
    assert (round(remaining), seconds) == (99, 6)


def test_rows_are_spread_over_the_limits_of_all_keys_and_only_their_model() -> None:
    limits = RateLimitTracker(lambda: 0.0)
    assert limits.spacing_seconds("m") == 0

    def learn(key: str, model: str, remaining: int) -> None:
        window = limits.window(key, model)
        window.learn(window.count_request(), 200, headers(remaining, 100, 60))

    learn("a", "m", 70)
    assert limits.spacing_seconds("m") == 1
    learn("b", "m", 70)
    assert limits.spacing_seconds("m") == 0.5
    learn("a", "other", 10)
    assert limits.spacing_seconds("m") == 0.5
    assert limits.spacing_seconds("other") == 5


def test_limits_of_models_without_recent_calls_are_dropped() -> None:
    limits = RateLimitTracker(lambda: 0.0)
    first = limits.window("k", "m0")
    for number in range(1, 65):
        limits.window("k", f"m{number}")
    assert limits.window("k", "m64") is limits.window("k", "m64")
    assert limits.window("k", "m0") is not first
