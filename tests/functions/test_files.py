"""Files over HTTP, asked for by the official client."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from llm_relay.batch.model.record import COMPLETED, FINALIZING, IN_PROGRESS, StoredFile

if TYPE_CHECKING:
    import httpx

    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws

ROWS = b'{"custom_id": "canary-row"}\n'
DAY = 86_400


def uploaded(api: BatchApi, content: bytes = ROWS, name: str = "rows.jsonl", **more: Any) -> Any:
    return api.client().files.create(file=(name, content), purpose="batch", **more)


def id_of(number: int) -> str:
    return f"file-{number:027x}"


def kept(world: BatchAws, number: int, **more: Any) -> StoredFile:
    facts: dict[str, Any] = {
        "id": id_of(number),
        "owner": "key-1",
        "filename": "f",
        "bytes": 1,
        "key": f"files/key-1/{id_of(number)}",
        "created_at": number,
    }
    file = StoredFile(**(facts | more))
    world.store.add(file)
    return file


def test_a_file_is_downloaded_as_it_was_uploaded(api: BatchApi) -> None:
    content = bytes(range(256)) * 9 + ROWS
    file = uploaded(api, content)
    client = api.client()
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert (file.filename, file.bytes, file.purpose) == ("rows.jsonl", len(content), "batch")
    assert (file.object, file.status) == ("file", "processed")
    assert file.created_at + 30 * DAY == file.expires_at


async def read_async(api: BatchApi, file_id: str) -> bytes:
    http = openai.DefaultAsyncHttpxClient(verify=False)  # noqa: S501 - as its sister
    async with openai.AsyncOpenAI(
        base_url=api.base_url, api_key="key-1", http_client=http
    ) as client:
        return (await client.files.content(file_id)).content


def test_the_asynchronous_client_reads_a_file(api: BatchApi) -> None:
    assert asyncio.run(read_async(api, uploaded(api).id)) == ROWS


def test_a_file_is_downloaded_from_another_host_that_does_not_get_the_key(api: BatchApi) -> None:
    file = uploaded(api)
    seen: list[httpx.Request] = []
    api.http.event_hooks = {"request": [seen.append]}
    assert api.client().files.content(file.id).text == ROWS.decode()
    relay, s3 = seen
    assert relay.url.netloc != s3.url.netloc
    assert "authorization" in relay.headers
    assert "authorization" not in s3.headers


def test_a_link_names_the_file_and_is_not_cached(api: BatchApi) -> None:
    file = uploaded(api, name="a b;é.jsonl")
    answer = api.ask("GET", f"/files/{file.id}/content")
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
    named = api.http.get(answer.headers["location"]).headers["content-disposition"]
    assert named == "attachment; filename*=UTF-8''a%20b%3B%C3%A9.jsonl"


def test_a_deleted_file_is_gone_with_its_content(api: BatchApi, batch_aws: BatchAws) -> None:
    client, file = api.client(), uploaded(api)
    key = f"files/key-1/{file.id}"
    assert batch_aws.bucket.get(key) == ROWS
    assert client.files.delete(file.id).deleted
    assert list(batch_aws.bucket.keys("")) == []
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(file.id)
        assert refused.value.code == "file_not_found"


def test_a_file_is_visible_only_to_its_client(api: BatchApi) -> None:
    file, other = uploaded(api), api.client("key-2")
    for ask in (other.files.retrieve, other.files.content, other.files.delete):
        with pytest.raises(openai.NotFoundError):
            ask(file.id)
    assert not other.files.list().data
    assert api.client().files.content(file.id).text == ROWS.decode()


@pytest.mark.parametrize("file_id", ["file-1", "%00", "..%2F..%2Fbatches", "x" * 2000, "%E2%82%AC"])
def test_an_invalid_id_finds_nothing(api: BatchApi, file_id: str) -> None:
    answer = api.ask("GET", f"/files/{file_id}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "file_id")


def test_a_file_without_its_content_is_not_found(api: BatchApi, batch_aws: BatchAws) -> None:
    file = uploaded(api)
    batch_aws.bucket.delete(f"files/key-1/{file.id}")
    with pytest.raises(openai.NotFoundError):
        api.client().files.content(file.id)


def test_an_expired_file_is_not_found(api: BatchApi, batch_aws: BatchAws) -> None:
    now = int(time.time())
    kept(batch_aws, 1, expires_at=now - 1)
    alive = kept(batch_aws, 2, expires_at=now + 600)
    with pytest.raises(openai.NotFoundError):
        api.client().files.retrieve(id_of(1))
    assert [file.id for file in api.client().files.list()] == [alive.id]


def test_files_are_listed_page_by_page(api: BatchApi, batch_aws: BatchAws) -> None:
    for number in range(5):
        kept(batch_aws, number)
    kept(batch_aws, 7, owner="key-2")
    files = api.client().files
    first = files.list(limit=2)
    assert [file.id for file in first.data] == [id_of(4), id_of(3)]
    assert first.has_more
    assert [file.created_at for file in first] == [4, 3, 2, 1, 0]
    assert [file.created_at for file in files.list(limit=2, order="asc")] == [0, 1, 2, 3, 4]
    assert not files.list(limit=5).has_more


def test_a_page_continues_after_a_file_that_was_deleted_since(
    api: BatchApi, batch_aws: BatchAws
) -> None:
    for number in range(3):
        kept(batch_aws, number)
    files = api.client().files
    assert files.delete(id_of(1)).deleted
    assert [file.id for file in files.list(after=id_of(1))] == [id_of(0)]


def test_a_page_continues_after_a_result_file(api: BatchApi, batch_aws: BatchAws) -> None:
    ids = [id_of(number) for number in (1, 2)] + [f"{id_of(2)}-errors", f"{id_of(2)}-output"]
    for number, file_id in enumerate(ids):
        kept(batch_aws, number, id=file_id)
    found = api.client().files.list(limit=1, order="asc")
    assert [file.id for file in found] == ids


def test_a_page_of_one_purpose_is_full(api: BatchApi, batch_aws: BatchAws) -> None:
    for number in range(9):
        kept(batch_aws, number, purpose="batch" if number % 4 == 0 else "batch_output")
    page = api.client().files.list(purpose="batch", limit=2)
    assert ([file.created_at for file in page.data], page.has_more) == ([8, 4], True)
    assert [file.created_at for file in page] == [8, 4, 0]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("limit=%D9%A1", "limit"),
        ("order=up", "order"),
        ("after=%2F", "after"),
        ("after=file-zzz", "after"),
        ("after=batch_0", "after"),
        (f"after={'x' * 2000}", "after"),
    ],
)
def test_a_list_says_what_is_wrong_with_its_query(api: BatchApi, query: str, param: str) -> None:
    answer = api.ask("GET", f"/files?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_input_of_a_running_batch_cannot_be_deleted(api: BatchApi, batch_aws: BatchAws) -> None:
    file, client = uploaded(api), api.client()
    batch = batch_aws.add_batch(ROWS, input_file_id=file.id)
    batch_aws.add_batch(ROWS)
    with pytest.raises(openai.ConflictError, match=batch.id) as refused:
        client.files.delete(file.id)
    assert refused.value.response.headers["x-should-retry"] == "false"
    states = {"validating", IN_PROGRESS}
    batch_aws.store.update_batch(batch.owner, batch.id, states, status=FINALIZING)
    with pytest.raises(openai.ConflictError):
        client.files.delete(file.id)
    batch_aws.store.update_batch(batch.owner, batch.id, {FINALIZING}, status=COMPLETED)
    assert client.files.delete(file.id).deleted


def test_a_request_is_logged_by_its_route(
    api: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.client().files.content(uploaded(api, name="canary-name").id)
    logged = capsys.readouterr()
    assert '"route":"GET /v1/files/{id}/content"' in logged.out
    assert '"status":302' in logged.out
    assert "Signature" not in logged.out
    assert "canary" not in logged.out + logged.err
