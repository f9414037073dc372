"""What may be uploaded, and how long it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from llm_relay.batch.api.uploads import MAX_UPLOAD_BYTES

if TYPE_CHECKING:
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws

ROWS = b'{"custom_id": "canary-row"}\n'
DAY = 86_400


def uploaded(api: BatchApi, content: bytes = ROWS, name: str = "rows.jsonl", **more: Any) -> Any:
    return api.client().files.create(file=(name, content), purpose="batch", **more)


def form(*parts: tuple[str, str], end: str = "--b--\r\n") -> bytes:
    disposition = "Content-Disposition: form-data"
    texts = [f"--b\r\n{disposition}; {name}\r\n\r\n{value}\r\n" for name, value in parts]
    return ("".join(texts) + end).encode()


def test_a_file_can_be_as_large_as_lambda_s_payload_limit_allows(api: BatchApi) -> None:
    assert uploaded(api, b"x" * MAX_UPLOAD_BYTES).bytes == MAX_UPLOAD_BYTES


def test_a_larger_file_is_refused_with_the_alternative(api: BatchApi, batch_aws: BatchAws) -> None:
    with pytest.raises(openai.APIStatusError, match="relay batch submit FILE") as refused:
        uploaded(api, b"x" * (MAX_UPLOAD_BYTES + 1))
    assert (refused.value.status_code, refused.value.code) == (413, "file_too_large")
    assert list(batch_aws.bucket.keys("")) == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (form(('name="file"; filename="f"', "x")), "purpose"),
        (form(('name="purpose"', "vision"), ('name="file"; filename="f"', "x")), "purpose"),
        (form(('name="purpose"', "batch")), "file"),
        (form(('name="purpose"', "batch"), ('name="file"', "x")), "file"),
        (form(('name="purpose"', "batch"), ('name="file"; filename="f"', "")), "file"),
        (form(('name="purpose"', "batch"), ('name="file"; filename="f"', "x"), end=""), None),
        (form(("", "batch")), None),
        (b"--other\r\n", None),
        (b"", None),
    ],
)
def test_an_invalid_upload_is_refused(api: BatchApi, body: bytes, param: str | None) -> None:
    answer = api.ask("POST", "/files", "multipart/form-data; boundary=b", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "", ";"])
def test_the_error_for_a_non_form_body_names_what_to_send(api: BatchApi, content_type: str) -> None:
    answer = api.ask("POST", "/files", content_type, b"{}")
    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json()["error"]["message"]


def test_a_file_is_kept_for_the_requested_time(api: BatchApi) -> None:
    file = uploaded(api, expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at - file.created_at == 3600


def test_a_file_is_kept_no_longer_than_its_content(api: BatchApi, batch_aws: BatchAws) -> None:
    batch_aws.environment.setenv("CONTENT_RETENTION_DAYS", "2")
    file = uploaded(api, expires_after={"anchor": "created_at", "seconds": 30 * DAY})
    assert file.expires_at - file.created_at == 2 * DAY


@pytest.mark.parametrize(
    ("expiry", "param"),
    [
        ({"anchor": "now", "seconds": 3600}, "expires_after"),
        ({"seconds": 3600}, "expires_after"),
        ({"anchor": "created_at"}, "expires_after.seconds"),
        ({"anchor": "created_at", "seconds": 3599}, "expires_after.seconds"),
        ({"anchor": "created_at", "seconds": "١٢٣٤٥"}, "expires_after.seconds"),
    ],
)
def test_an_invalid_expiry_is_refused(api: BatchApi, expiry: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        uploaded(api, expires_after=expiry)
    assert refused.value.param == param


def test_an_unavailable_store_is_reported_and_logged_without_contents(
    api: BatchApi, batch_aws: BatchAws, capsys: pytest.CaptureFixture[str]
) -> None:
    batch_aws.environment.setenv("BATCH_BUCKET", "no-such-bucket")
    with pytest.raises(openai.InternalServerError) as refused:
        uploaded(api, name="canary-name")
    assert (refused.value.status_code, refused.value.code) == (503, "batches_unavailable")
    logged = capsys.readouterr()
    assert "NoSuchBucket" in logged.out
    assert "canary" not in logged.out + logged.err
