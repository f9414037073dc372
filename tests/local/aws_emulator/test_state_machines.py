"""State machines on the local stack: they run its functions, however those end."""

import asyncio
from pathlib import Path
from typing import Any

from local.aws_emulator.moto_server import moto
from tests.local.batch_stack import batch_stack, ended, lines, outputs, put_items, start, until
from tests.local.small_stack import in_loop


@in_loop
async def test_retries_waits_and_catches_of_a_state_machine_are_executed(
    tmp_path: Path,
) -> None:
    async with batch_stack(tmp_path) as stack:
        killed, rested, failed = await outputs(
            stack, {"id": "a", "do": "die"}, {"id": "b", "do": "rest"}, {"id": "c", "do": "raise"}
        )
    assert killed["again"]
    assert rested["again"]
    assert failed == {"failed": "ValueError"}


@in_loop
async def test_items_of_a_map_run_at_the_same_time_up_to_its_concurrency(tmp_path: Path) -> None:
    async with batch_stack(tmp_path, Concurrency=2) as stack:
        items = [{"id": str(number), "do": "stay"} for number in range(4)]
        execution = await start(stack, *items)
        await until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
        await asyncio.sleep(0.3)
        assert len(list(tmp_path.glob("begun-*"))) == 2
        (tmp_path / "go").touch()
        assert (await ended(stack, execution))["status"] == "SUCCEEDED"
    assert len(list(tmp_path.glob("begun-*"))) == 4


@in_loop
async def test_an_object_in_the_inbox_starts_an_execution_and_others_do_not(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        stepfunctions, machine = stack.aws("stepfunctions"), stack.template.ref("Machine")
        for key in ("elsewhere/a.json", "inbox/a b+c.json"):
            await asyncio.to_thread(put_items, stack, key, ({"id": "a"},))

        def look() -> list[Any]:
            listed = stepfunctions.list_executions(stateMachineArn=machine)
            executions: list[Any] = listed["executions"]
            return executions

        [execution] = await until(look)
        said = await ended(stack, execution["executionArn"])
        assert said["status"] == "SUCCEEDED"
        assert len(look()) == 1
    assert (tmp_path / "begun-a").exists()


@in_loop
async def test_the_end_of_an_execution_is_reported_with_its_input(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        execution = await start(stack, {"id": "a", "do": "stay"})
        await until((tmp_path / "begun-a").exists)
        await asyncio.to_thread(stack.aws("stepfunctions").stop_execution, executionArn=execution)
        (tmp_path / "go").touch()
        assert (await ended(stack, execution))["status"] == "ABORTED"
        [event] = await until(lambda: lines(tmp_path / "echoed"))
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["detail"]["executionArn"] == execution
    assert event["detail"]["stateMachineArn"] == stack.template.ref("Machine")
    assert event["detail"]["input"].startswith('{"detail": {"bucket"')
    assert event["detail"]["startDate"] <= event["detail"]["stopDate"]


@in_loop
async def test_two_stacks_of_a_process_run_their_own_functions(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    async with batch_stack(mine) as first, batch_stack(other) as second:
        await asyncio.gather(outputs(first, {"id": "a"}), outputs(second, {"id": "b"}))
    assert [path.name for path in mine.glob("begun-*")] == ["begun-a"]
    assert [path.name for path in other.glob("begun-*")] == ["begun-b"]


@in_loop
async def test_a_stopped_stack_leaves_no_execution_running(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        execution = await start(stack, {"id": "a", "do": "stay"})
        await until((tmp_path / "begun-a").exists)
    stepfunctions = moto().client("stepfunctions")
    await until(
        lambda: stepfunctions.describe_execution(executionArn=execution)["status"] != "RUNNING"
    )
