"""`relay doctor` on a stack that is well, and on stacks with a fault from outside the functions."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from llm_relay.billing.ledger_account import period_at
from tests.cli.doctor.conftest import Checks, diagnosed
from tests.support.scripted_provider import ScriptedProvider, wait_until, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.lambda_runtime.environments import LambdaFunction
    from tests.cli.conftest import RelayRunner
    from tests.cli.formation import Formation

MODEL = "abliterated-model"
NEEDS_THE_STACK = {
    "api", "client key", "inside", "call", "streaming", "clock", "time-outs", "budget", "queues",
    "batches", "alarms",
}  # fmt: skip
FROM_INSIDE = {
    "settings", "secret", "base url", "provider key", "model", "rate limit", "provider stream",
    "function clock",
}  # fmt: skip


def at_account(root: Path, *arguments: str) -> Checks:
    return Checks(CliRunner().invoke(main, ["doctor", "--json", *arguments], obj=root))


def test_a_healthy_stack_is_ok_in_a_line_for_each_check(runner: RelayRunner) -> None:
    done = runner.relay("doctor")
    assert (done.exit_code, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}
    assert len(done.stdout.splitlines()) == len(NEEDS_THE_STACK | FROM_INSIDE) + 1


def test_a_script_gets_the_same_as_json_and_no_output_has_a_key(runner: RelayRunner) -> None:
    checks = diagnosed(runner)
    assert checks.healthy
    assert checks.states == dict.fromkeys(["stack", *NEEDS_THE_STACK, *FROM_INSIDE], "ok")
    assert runner.stack.provider
    for key in (runner.stack.client_key, runner.stack.provider.key):
        assert key not in checks.text


def test_a_fault_is_reported_with_its_fix_and_ends_with_1(runner: RelayRunner) -> None:
    done = runner.relay("doctor", "--client-key", "sk-of-another-client-000000000")
    assert (done.exit_code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("FAIL"))
    assert "client key" in lines[place]
    assert lines[place + 1].strip().startswith("fix: ")
    assert any("not checked: it needs 'client key'" in line for line in lines)


def test_fixes_for_a_local_stack_use_local_commands(runner: RelayRunner) -> None:
    name, _, fix = diagnosed(runner, "--client-key", "sk-of-another-client-000000000").only_fault()
    assert name == "client key"
    assert "relay --local keys list" in fix
    assert "'make run' prints the first key" in fix
    assert "stack's output" not in fix


def test_without_a_region_the_message_does_not_claim_that_aws_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    name, says, fix = at_account(tmp_path, "--stack-name", "any").only_fault()
    assert (name, says, "--local" in fix) == ("stack", "AWS could not be called.", True)


def test_where_no_stack_is_found_nothing_else_is_checked(tmp_path: Path) -> None:
    checks = at_account(tmp_path, "--local")
    assert checks.only_fault() == (
        "stack",
        "No local stack is running.",
        "start it with 'make run' in another terminal.",
    )
    assert checks.not_checked == NEEDS_THE_STACK


def test_a_deployed_stack_is_checked_with_its_first_key(deployed: Path) -> None:
    checks = at_account(deployed)
    assert (checks.healthy, checks.faults) == (True, [])
    assert "the stack's first" in checks.says("client key")


def test_a_key_in_the_environment_takes_precedence(
    deployed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-client-000000000")
    name, says, _ = at_account(deployed).only_fault()
    assert (name, "OPENAI_API_KEY" in says) == ("client key", True)


def test_a_stack_that_is_not_in_the_account_is_reported(deployed: Path) -> None:
    name, says, fix = at_account(deployed, "--stack-name", "elsewhere").only_fault()
    assert (name, "no stack elsewhere" in says, "sam deploy" in fix) == ("stack", True, True)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warn"),
        ("UPDATE_ROLLBACK_COMPLETE", "warn"),
        ("ROLLBACK_COMPLETE", "fail"),
        ("UPDATE_ROLLBACK_FAILED", "fail"),
    ],
)
def test_a_stack_is_reported_by_the_state_that_cloudformation_left_it_in(
    deployed: Path, formation: Formation, status: str, state: str
) -> None:
    formation.status = status
    formation.outputs = {"OpenAIBaseUrl": "http://127.0.0.1:9/v1"}  # the rest is checked quickly
    checks = at_account(deployed)
    assert checks.states["stack"] == state
    assert status in checks.says("stack")


def test_an_api_that_does_not_answer_is_reported(changed_note: Callable[..., RelayRunner]) -> None:
    checks = diagnosed(changed_note(base_url="http://127.0.0.1:9/v1"))
    name, says, _ = checks.only_fault()
    assert (name, "does not answer" in says) == ("api", True)
    assert {"client key", "call", "streaming", "clock", "budget"} <= checks.not_checked


@pytest.mark.parametrize(("seconds", "state"), [(120, "warn"), (3600, "fail")])
def test_a_clock_that_is_wrong_is_reported(
    changed_note: Callable[..., RelayRunner], seconds: int, state: str
) -> None:
    with ScriptedProvider() as api:
        date = formatdate(time.time() - seconds, usegmt=True)
        api.scripts = [whole(200, {}, Date=date)]
        checks = diagnosed(changed_note(base_url=api.base_url))
    assert checks.states["clock"] == state
    assert "ahead of the API's" in checks.says("clock")
    assert "timedatectl" in checks.fix("clock")


@pytest.fixture
def chat(runner: RelayRunner) -> Iterator[LambdaFunction]:
    """The function for chat completions; how it is configured is put back afterwards."""
    function = runner.stack.functions["ChatCompletionsFunction"]
    before = function.spec
    yield function
    function.spec = before


def test_a_function_timeout_longer_than_api_gateway_s_is_reported(
    runner: RelayRunner, chat: LambdaFunction
) -> None:
    chat.spec = replace(chat.spec, timeout_seconds=910)
    name, says, fix = diagnosed(runner).only_fault()
    assert (name, "910 s, but API Gateway's is 900 s" in says) == ("time-outs", True)
    assert "POST /v1/chat/completions" in says
    assert "make run" in fix


def test_a_timeout_longer_than_api_gateway_s_is_reported(
    runner: RelayRunner, chat: LambdaFunction
) -> None:
    patient = {**chat.spec.environment, "UPSTREAM_FIRST_BYTE_SECONDS": "400"}
    chat.spec = replace(chat.spec, environment=patient)
    name, says, _ = diagnosed(runner).only_fault()
    assert (name, "timeout is 400 s" in says) == ("time-outs", True)


@pytest.mark.parametrize(("left", "state"), [(0, "fail"), (90_000_000, "warn"), (10**9, "ok")])
def test_a_budget_is_reported_by_what_is_left(runner: RelayRunner, left: int, state: str) -> None:
    name = f"spender-{left}"
    made = runner.json("keys", "create", name, "--budget-usd", "1")
    spent = {"available": left, "spent": 10**9 - left, "budget": 10**9}
    runner.stack.aws("dynamodb").put_item(
        TableName=runner.stack.template.ref("ClientsTable"),
        Item={
            "pk": {"S": f"ledger#{made['client']['id']}"},
            "sk": {"S": period_at("month", time.time()).name},
            **{key: {"N": str(value)} for key, value in spent.items()},
        },
    )
    checks = diagnosed(runner, "--client-key", made["key"])
    assert checks.states["budget"] == state
    assert checks.states["call"] == ("fail" if left == 0 else "ok")
    if left == 0:
        assert "402 budget_exceeded" in checks.says("call")
        assert "relay --local keys create" in checks.fix("budget")


@pytest.fixture
def queue(runner: RelayRunner) -> Iterator[str]:
    """A queue that is not emptied."""
    sqs = runner.stack.aws("sqs")
    url = str(sqs.create_queue(QueueName=f"left-{time.monotonic_ns()}")["QueueUrl"])
    yield url
    sqs.delete_queue(QueueUrl=url)


def test_jobs_that_were_given_up_are_reported(
    runner: RelayRunner, changed_resources: Callable[..., RelayRunner], queue: str
) -> None:
    runner.stack.aws("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    checks = diagnosed(changed_resources(JobsDeadLetterQueue=queue))
    name, says, fix = checks.only_fault()
    assert (name, "1 jobs failed" in says) == ("queues", True)
    assert f"receive-message --queue-url {queue}" in fix
    assert "start-message-move-task --source-arn arn:" in fix


def test_jobs_that_wait_for_long_are_reported(
    runner: RelayRunner, changed_resources: Callable[..., RelayRunner], queue: str
) -> None:
    name = queue.rpartition("/")[2]
    age = {
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": name}],
        "Timestamp": time.time() - 60,
        "Value": 1200.0,
    }
    cloudwatch = runner.stack.aws("cloudwatch")
    cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[age])
    checks = diagnosed(changed_resources(JobsQueue=queue))
    assert checks.healthy
    assert "the oldest for 1200 s" in checks.only_fault()[1]


def test_failed_batches_are_reported(
    runner: RelayRunner, changed_resources: Callable[..., RelayRunner]
) -> None:
    states = runner.stack.aws("stepfunctions")
    machine = states.create_state_machine(
        name=f"dies-{time.monotonic_ns()}",
        definition=json.dumps({"StartAt": "Die", "States": {"Die": {"Type": "Fail"}}}),
        roleArn="arn:aws:iam::123456789012:role/any",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    wait_until(lambda: states.describe_execution(executionArn=execution)["status"] == "FAILED")
    checks = diagnosed(changed_resources(BatchStateMachine=machine))
    assert checks.healthy
    name, says, fix = checks.only_fault()
    assert (name, "failed within a day" in says, execution in fix) == ("batches", True, True)


def test_a_firing_alarm_of_the_stack_is_reported_with_its_advice(
    runner: RelayRunner, changed_resources: Callable[..., RelayRunner]
) -> None:
    alarm = {
        "MetricName": "Any", "Namespace": "Any", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1, "Statistic": "Sum", "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    cloudwatch = runner.stack.aws("cloudwatch")
    for name in ("of-the-stack", "of-another"):
        cloudwatch.put_metric_alarm(AlarmName=name, AlarmDescription="Do it.", **alarm)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="Too many.")
    try:
        checks = diagnosed(changed_resources(AnyAlarm="of-the-stack"))
    finally:
        cloudwatch.delete_alarms(AlarmNames=["of-the-stack", "of-another"])
    assert checks.only_fault() == ("alarms", "of-the-stack fires: Too many.", "Do it.")


def test_a_stack_without_the_function_must_be_deployed(
    changed_resources: Callable[..., RelayRunner],
) -> None:
    checks = diagnosed(changed_resources(DoctorFunction=None))
    name, says, fix = checks.only_fault()
    assert (name, "no DoctorFunction" in says, "make run" in fix) == ("inside", True, True)
    assert checks.states["call"] == "ok"  # what can be asked from the outside is


def test_a_function_that_breaks_off_is_reported_with_its_log(
    runner: RelayRunner, changed_resources: Callable[..., RelayRunner]
) -> None:
    broken = runner.stack.template.ref("BatchPlanFunction")
    name, says, fix = diagnosed(changed_resources(DoctorFunction=broken)).only_fault()
    assert (name, "failed" in says, ".relay-local.log" in fix) == ("inside", True, True)


def test_what_the_user_may_not_read_is_unchecked_and_not_a_fault(
    changed_note: Callable[..., RelayRunner],
) -> None:
    with ScriptedProvider() as aws:
        denied = {"__type": "AccessDeniedException", "message": "You may not."}
        header = {"x_amzn_errortype": "AccessDeniedException"}
        aws.scripts = [whole(403, denied, **header)]
        checks = diagnosed(changed_note(aws_endpoint_url=aws.base_url.removesuffix("/v1")))
    assert checks.healthy
    assert {"inside", "time-outs", "queues", "batches"} <= checks.not_checked
    assert "--profile" in checks.says("queues")
    assert checks.states["call"] == "ok"


def test_contradicting_options_are_a_usage_error(runner: RelayRunner) -> None:
    done: Result = runner.relay("doctor", "--stack-name", "x")
    assert done.exit_code == 2
    assert "--local cannot be combined with" in done.stderr
