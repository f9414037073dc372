"""A bucket on S3."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from llm_relay.aws.s3 import Bucket, s3
from llm_relay.aws.s3_writer import ObjectWriter, part_size
from tests.support.scripted_provider import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tests.support.batch_environment import BatchAws

FIRST = 8 * 1024 * 1024


def test_an_object_is_read_completely_or_in_part(batch_aws: BatchAws) -> None:
    bucket = batch_aws.bucket
    bucket.put("a", b"0123456789")
    read = [bucket.get("a"), bucket.get("a", 8), bucket.get("a", 2, 4), bucket.get("a", 0, 1)]
    assert read == [b"0123456789", b"89", b"23", b"0"]
    assert bucket.head("a")["ContentLength"] == 10


def test_a_missing_object_is_a_key_error(batch_aws: BatchAws) -> None:
    bucket = batch_aws.bucket
    for look in (bucket.get, bucket.head, bucket.open):
        with pytest.raises(KeyError, match="nothing"):
            look("nothing")


def test_nothing_is_read_of_a_replaced_object(batch_aws: BatchAws) -> None:
    bucket = batch_aws.bucket
    bucket.put("a", b"0123456789")
    body, etag = bucket.open("a")
    with body:
        assert body.read() == b"0123456789"
    assert (bucket.get("a", etag=etag), bucket.get("a", 8, 9, etag)) == (b"0123456789", b"8")
    bucket.put("a", b"short")
    for start in (0, 8):
        with pytest.raises(KeyError, match="a"):
            bucket.get("a", start, start + 1, etag)
    bucket.delete("a")
    with pytest.raises(KeyError, match="a"):
        bucket.get("a", etag=etag)


def test_an_object_is_created_once(batch_aws: BatchAws) -> None:
    assert batch_aws.bucket.put_if_absent("a", b"first")
    assert not batch_aws.bucket.put_if_absent("a", b"second")
    assert batch_aws.bucket.get("a") == b"first"


def test_keys_are_listed_in_order_beyond_a_page(batch_aws: BatchAws) -> None:
    for key in ("p/2", "q/1", "p/10", "p/1"):
        batch_aws.bucket.put(key, b"")
    assert list(batch_aws.bucket.keys("p/")) == ["p/1", "p/10", "p/2"]
    batch_aws.bucket.delete("p/10")
    batch_aws.bucket.delete("p/10")
    assert list(batch_aws.bucket.keys("p/")) == ["p/1", "p/2"]


def test_a_long_object_is_written_in_parts(batch_aws: BatchAws) -> None:
    line = bytes(range(256)) * 4096  # a megabyte
    with batch_aws.bucket.writer("a") as writer:
        for _ in range(17):
            writer.write(line)
        assert list(batch_aws.bucket.keys("")) == []
    assert writer.bytes == 17 * len(line)
    head = batch_aws.bucket.head("a")
    assert head["ContentLength"] == writer.bytes
    assert head["ETag"].endswith('-3"')
    assert batch_aws.bucket.get("a") == 17 * line


def test_parts_are_uploaded_concurrently_and_assembled_in_order(batch_aws: BatchAws) -> None:
    in_progress = most = 0
    turn, first_two = threading.Lock(), threading.Barrier(2)

    def begin(params: dict[str, Any], **_: Any) -> None:
        nonlocal in_progress, most
        with turn:
            in_progress += 1
            most = max(most, in_progress)
        if params["PartNumber"] <= 2:
            first_two.wait(TIMEOUT_SECONDS)
        time.sleep(0.4 / params["PartNumber"])  # the first ones last longest

    def end(**_: Any) -> None:
        nonlocal in_progress
        with turn:
            in_progress -= 1

    s3().meta.events.register("provide-client-params.s3.UploadPart", begin)
    s3().meta.events.register("after-call.s3.UploadPart", end)
    parts = [bytes([at]) * FIRST for at in range(6)]
    with batch_aws.bucket.writer("a") as writer:
        for part in parts:
            writer.write(part)
    assert 1 < most <= 4
    assert batch_aws.bucket.get("a") == b"".join(parts)


def test_memory_is_bounded_by_the_parts_in_transfer(batch_aws: BatchAws) -> None:
    may_go = threading.Event()

    def wait(**_: Any) -> None:
        may_go.wait(30)

    def write(writer: ObjectWriter) -> None:
        for _ in range(6):
            writer.write(bytes(FIRST))

    s3().meta.events.register("provide-client-params.s3.UploadPart", wait)
    with batch_aws.bucket.writer("a") as writer:
        writing = threading.Thread(target=write, args=(writer,))
        writing.start()
        writing.join(0.5)
        assert writing.is_alive()
        assert writer.bytes <= 5 * FIRST  # four go up, and one waits for its turn
        may_go.set()
        writing.join(30)
    assert batch_aws.bucket.head("a")["ContentLength"] == 6 * FIRST


def test_a_failed_part_leaves_no_object(batch_aws: BatchAws) -> None:
    def fail(params: dict[str, Any], **_: Any) -> None:
        if params["PartNumber"] == 2:
            raise EOFError

    s3().meta.events.register("provide-client-params.s3.UploadPart", fail)
    with pytest.raises(EOFError), batch_aws.bucket.writer("a") as writer:
        for _ in range(3):
            writer.write(bytes(FIRST))
    assert list(batch_aws.bucket.keys("")) == []
    uploads = s3().list_multipart_uploads(Bucket=batch_aws.bucket.name)
    assert not uploads.get("Uploads")


def test_parts_grow_so_that_an_object_may_be_large_and_stay_small_enough_to_hold() -> None:
    sizes = [part_size(number) for number in range(10_000)]
    assert sum(sizes) > 250e9
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (FIRST, 5 * FIRST)


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_short_object_is_written_at_once(batch_aws: BatchAws, content: bytes) -> None:
    with batch_aws.bucket.writer("a") as writer:
        writer.write(content)
    assert batch_aws.bucket.get("a") == content


@pytest.mark.parametrize("length", [10, 9 * 1024 * 1024])
def test_an_interrupted_upload_leaves_no_object(batch_aws: BatchAws, length: int) -> None:
    with pytest.raises(EOFError), batch_aws.bucket.writer("a") as writer:
        writer.write(b"x" * length)
        raise EOFError
    assert list(batch_aws.bucket.keys("")) == []
    uploads = s3().list_multipart_uploads(Bucket=batch_aws.bucket.name)
    assert not uploads.get("Uploads")


def test_a_link_works_without_a_key_and_only_for_its_object(batch_aws: BatchAws) -> None:
    batch_aws.bucket.put("a/b c", b"content")
    link = batch_aws.bucket.presigned_url("a/b c", 60, 'q"; x=\r\n1.jsonl')
    with urlopen(link) as answer:  # noqa: S310 - moto's
        assert answer.read() == b"content"
        named = answer.headers["content-disposition"]
    assert named == "attachment; filename*=UTF-8''q%22%3B%20x%3D%0D%0A1.jsonl"


def test_a_link_leads_to_the_region_itself(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("AWS_ENDPOINT_URL")
    environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    s3.cache_clear()
    link = Bucket("rows").presigned_url("a", 60, "a")
    s3().close()
    s3.cache_clear()
    assert link.startswith("https://rows.s3.eu-central-1.amazonaws.com/a?")
