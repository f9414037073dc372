"""The AWS of a laptop: moto, made to keep its promises to many callers at once."""

import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws_emulator.moto_server import moto

THREADS, CALLS, BUDGET = 50, 4, 30


@pytest.fixture
def table() -> Iterator[str]:
    name = f"counters-{uuid.uuid4()}"
    dynamodb = moto().client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(autouse=True)
def _fast_thread_switching() -> Iterator[None]:
    """Threads that give way every few steps, so that a missing lock shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def in_threads(work: Any) -> None:
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_conditional_updates_by_many_threads_never_overdraw(table: str) -> None:
    dynamodb = moto().client("dynamodb")
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "a"}, "left": {"N": str(BUDGET)}})
    taken: list[int] = []

    def take() -> None:
        for _ in range(CALLS):
            try:
                dynamodb.update_item(
                    TableName=table,
                    Key={"pk": {"S": "a"}},
                    UpdateExpression="SET #left = #left - :one",
                    ConditionExpression="#left >= :one",
                    ExpressionAttributeNames={"#left": "left"},
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
            else:
                taken.append(1)

    in_threads(take)
    assert len(taken) == BUDGET
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "a"}})["Item"]
    assert item["left"] == {"N": "0"}


def test_additions_by_many_threads_are_all_applied(table: str) -> None:
    dynamodb = moto().client("dynamodb")

    def add() -> None:
        for _ in range(CALLS):
            dynamodb.update_item(
                TableName=table,
                Key={"pk": {"S": "b"}},
                UpdateExpression="ADD additions :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    in_threads(add)
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "b"}})["Item"]
    assert item["additions"] == {"N": str(THREADS * CALLS)}


def test_a_plain_read_of_the_secret_returns_the_promoted_version() -> None:
    secrets = moto().client("secretsmanager")
    made = secrets.create_secret(Name=f"secret-{uuid.uuid4()}", SecretString="old")
    arn, old = made["ARN"], made["VersionId"]
    new = secrets.put_secret_value(SecretId=arn, SecretString="new", VersionStages=["AWSPENDING"])[
        "VersionId"
    ]
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "old"
    secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old
    )
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "new"
    secrets.put_secret_value(SecretId=arn, SecretString="newest")
    current = secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    assert current["SecretString"] == "newest"
