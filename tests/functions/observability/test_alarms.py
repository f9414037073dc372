"""Each alarm of the template goes off at what real handlers print of what it is there for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.chunk_runs import worker_setup
from tests.support.metrics import Points, log_lines, metric_points, repeated
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import RESET, whole
from tests.template.evaluator import goes_off
from tests.template.operations.monitored import Metric, alarm_metrics, alarms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.chunk_runs import WorkerSetup
    from tests.support.scripted_provider import Script, ScriptedProvider

    Ask = Callable[..., Answered]

__all__ = ["worker_setup"]

FINAL = {"x_should_retry": "false"}  # the relay asks once, as there is no need to wait here
ANSWERED = whole(200, COMPLETION)
REFUSED = whole(401, {"error": {"message": "no"}})
LIMITED = whole(429, {"error": {"message": "no"}}, **FINAL)
ENOUGH = 20  # requests in five minutes, for a rate to mean something
PERIOD = 300


class Watch:
    """The alarms, and a provider for the calls that they hear of."""

    def __init__(self, provider: ScriptedProvider, ask: Ask, printed: Callable[[], str]) -> None:
        self._provider = provider
        self._ask = ask
        self._printed = printed

    def calls(self, *scripts: Script) -> Points:
        """What was measured of calls that the provider did one thing each to."""
        for script in scripts:
            self._provider.scripts = [script]
            self._provider.requests.clear()
            self._ask(QUESTION)
        return metric_points(log_lines(self._printed()))


@pytest.fixture
def watch(provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]) -> Watch:
    return Watch(provider, ask, lambda: capfd.readouterr().out)


def is_on(name: str, points: Points, **parameters: str) -> bool:
    """Tell whether an alarm is on at the end of the current period."""
    return goes_off(alarms(**parameters)[name], points, time.time() + 1)


def everything_off(points: Points) -> bool:
    return not any(is_on(name, points) for name in alarms())


def counted(name: str, value: float) -> Points:
    """What AWS itself would have counted of the first metric that an alarm watches."""
    metric: Metric = next(iter(alarm_metrics(alarms()[name]).values()))[0]
    return {metric: [(time.time(), value)]}


def test_answered_calls_raise_no_alarm(watch: Watch) -> None:
    points = watch.calls(*[ANSWERED] * ENOUGH)
    assert everything_off(repeated(points, PERIOD, 3))


def test_an_interrupted_tenth_of_calls_raises_the_error_rate_alarm(watch: Watch) -> None:
    points = watch.calls(*[ANSWERED] * 18, *[[RESET]] * 2)
    assert is_on("ErrorRateAlarm", repeated(points, PERIOD, 2))
    assert not is_on("ErrorRateAlarm", points)  # for five minutes alone


def test_few_calls_raise_no_error_rate_alarm(watch: Watch) -> None:
    points = watch.calls(*[[RESET]] * (ENOUGH - 1))
    assert not is_on("ErrorRateAlarm", repeated(points, PERIOD, 3))


def test_caller_errors_raise_no_error_rate_alarm(watch: Watch) -> None:
    points = watch.calls(*[whole(400, {"error": {"message": "no"}})] * ENOUGH)
    assert everything_off(repeated(points, PERIOD, 3))


def test_a_rejected_provider_key_raises_an_alarm_at_once(watch: Watch) -> None:
    assert is_on("ProviderKeyAlarm", watch.calls(REFUSED))


def test_a_rejected_provider_key_raises_an_alarm_for_batches_too(
    worker_setup: WorkerSetup, capfd: pytest.CaptureFixture[str]
) -> None:
    worker_setup.rows_with(*["401"] * 25).run()  # as many as it takes to be sure
    assert is_on("ProviderKeyAlarm", metric_points(log_lines(capfd.readouterr().out)))


def test_a_quarter_of_rate_limited_attempts_for_15_minutes_raises_an_alarm(
    watch: Watch,
) -> None:
    points = watch.calls(*[ANSWERED] * 15, *[LIMITED] * 5)
    assert is_on("ProviderLimitAlarm", repeated(points, PERIOD, 3))
    assert not is_on("ProviderLimitAlarm", repeated(points, PERIOD, 2))


def test_first_bytes_above_the_parameter_raise_the_latency_alarm(watch: Watch) -> None:
    points = repeated(watch.calls(ANSWERED), PERIOD, 3)
    assert is_on("FirstByteAlarm", points, AlarmFirstByteSeconds="0.0001")
    assert not is_on("FirstByteAlarm", points, AlarmFirstByteSeconds="60")


def test_an_hourly_cost_above_the_parameter_raises_the_cost_alarm(watch: Watch) -> None:
    points = watch.calls(ANSWERED, ANSWERED)
    assert is_on("CostAlarm", points, AlarmCostPerHourUsd="0.00029")
    assert not is_on("CostAlarm", points, AlarmCostPerHourUsd="0.00031")


def test_batches_count_towards_the_cost_of_an_hour(
    worker_setup: WorkerSetup, capfd: pytest.CaptureFixture[str]
) -> None:
    worker_setup.rows_with(*["200"] * 4).run()
    points = metric_points(log_lines(capfd.readouterr().out))
    assert is_on("CostAlarm", points, AlarmCostPerHourUsd="0.00009")


@pytest.mark.parametrize(
    ("name", "value", "periods"),
    [
        ("FunctionErrorsAlarm", 1, 1),
        ("BatchFailuresAlarm", 1, 1),
        ("DeadLettersAlarm", 1, 1),
        ("QueueAgeAlarm", 3601, 3),
    ],
)
def test_metrics_of_aws_raise_one_alarm_each(name: str, value: float, periods: int) -> None:
    points = repeated(counted(name, value), PERIOD, periods)
    assert [each for each in alarms() if is_on(each, points)] == [name]
    assert everything_off(repeated(counted(name, 0), PERIOD, periods))


def test_hours_without_calls_raise_no_alarm() -> None:
    assert everything_off({})
