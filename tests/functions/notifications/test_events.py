"""What is published when something ends: the event, and the webhook."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest

from llm_relay.notifications.events import Webhook, publish, signed_headers
from tests.support.scripted_provider import CLOSE, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Secret
    from tests.support.event_recorder import EventRecorder

SECRET = "whsec_" + base64.b64encode(b"canary-signing-secret-of-32-byte").decode()
EVENT = {"id": "evt_1", "type": "batch.completed", "data": {"id": "batch_1"}}
TAKEN = whole(200, {})
BUSY = whole(503, {})


@pytest.fixture
def receiver() -> Iterator[ScriptedProvider]:
    """The receiver of the webhook."""
    with ScriptedProvider([TAKEN]) as server:
        yield server


def hook(receiver: ScriptedProvider, secret: str = SECRET) -> Webhook:
    return Webhook(url=f"{receiver.base_url}/hook", secret=lambda: secret, pauses=(0, 0))


def test_an_event_is_published_on_the_bus_in_openai_s_shape(
    published_events: EventRecorder,
) -> None:
    publish("batch.completed", "batch_1", {"owner": "key-1"})
    publish("batch.completed", "batch_1", {"owner": "key-1"})
    publish("batch.cancelled", "batch_1", {})
    first, again, other = published_events.take()
    assert (first["source"], first["detail-type"]) == ("llm-relay", "batch.completed")
    event = first["detail"]
    assert event.keys() == {"id", "object", "created_at", "type", "data"}
    assert (event["object"], event["type"]) == ("event", "batch.completed")
    assert event["data"] == {"id": "batch_1", "owner": "key-1"}
    assert event["id"].startswith("evt_")
    assert again["detail"]["id"] == event["id"] != other["detail"]["id"]


def test_the_webhook_gets_the_event_in_the_form_openai_s_client_accepts(
    published_events: EventRecorder,
    receiver: ScriptedProvider,
    secret: Secret,
    environment: pytest.MonkeyPatch,
) -> None:
    secret.put(SECRET)
    environment.setenv("WEBHOOK_URL", f"{receiver.base_url}/hook")
    environment.setenv("WEBHOOK_SECRET_ARN", secret.arn)
    publish("batch.completed", "batch_1", {"owner": "key-1"})
    (request,) = receiver.requests
    with openai.OpenAI(api_key="unused", webhook_secret=SECRET) as client:
        event = client.webhooks.unwrap(request.body, request.headers)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(request.body + b" ", request.headers)
    assert event.type == "batch.completed"
    assert event.data.id == "batch_1"
    (published,) = published_events.take()
    assert json.loads(request.body) == published["detail"]
    assert request.headers["webhook-id"] == event.id
    assert (request.method, request.path) == ("POST", "/v1/hook")


def test_a_secret_that_is_not_base64_is_used_as_it_is() -> None:
    body = b'{"id":"evt_1","object":"event","created_at":1,"type":"x","data":{"id":"1"}}'
    with openai.OpenAI(api_key="unused", webhook_secret="plain secret") as client:
        headers = signed_headers("evt_1", 1_795_000_000, body, "plain secret")
        client.webhooks.verify_signature(body, headers, tolerance=10**10)


@pytest.mark.parametrize("first", [BUSY, whole(404, {}), [CLOSE]])
def test_a_failing_webhook_is_retried_with_the_same_id(
    receiver: ScriptedProvider, first: Any
) -> None:
    receiver.scripts = [first, TAKEN]
    hook(receiver).send(EVENT)
    assert [each.headers["webhook-id"] for each in receiver.requests] == ["evt_1"] * 2
    assert receiver.requests[0].body == receiver.requests[1].body


def test_a_webhook_that_keeps_failing_is_logged_and_given_up(
    receiver: ScriptedProvider, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.scripts = [BUSY]
    hook(receiver).send(EVENT)
    assert len(receiver.requests) == 3
    logged = json.loads(capsys.readouterr().out)
    assert (logged["event_id"], logged["failure"]) == ("evt_1", "status 503")


def test_a_redirect_is_not_followed(receiver: ScriptedProvider) -> None:
    with ScriptedProvider([TAKEN]) as elsewhere:
        receiver.scripts = [whole(307, {}, location=f"{elsewhere.base_url}/hook")]
        hook(receiver).send(EVENT)
        assert elsewhere.requests == []


def test_an_endless_answer_is_not_waited_for(receiver: ScriptedProvider) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
    receiver.scripts = [[head, 3600]]
    sender = threading.Thread(target=lambda: hook(receiver).send(EVENT), daemon=True)
    sender.start()
    sender.join(timeout=60)
    assert not sender.is_alive()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://192.0.2.1/canary-path", SECRET),
        ("http://127.0.0.1.example.com/canary-path", SECRET),
        ("file:///etc/canary-path", SECRET),
        ("https://127.0.0.1:9/canary-path", "whsec_*canary*"),
    ],
)
def test_a_webhook_that_cannot_be_used_safely_is_logged_and_not_called(
    url: str, secret: str, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Webhook(url=url, secret=lambda: secret, pauses=()).send(EVENT)
    printed = capsys.readouterr().out
    assert json.loads(printed)["failure"] in {"ValueError", "Error"}
    assert "canary" not in printed


def test_a_webhook_without_its_secret_does_not_keep_the_event_from_the_bus(
    published_events: EventRecorder,
    receiver: ScriptedProvider,
    secret: Secret,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("WEBHOOK_URL", f"{receiver.base_url}/hook")
    environment.setenv("WEBHOOK_SECRET_ARN", secret.arn + "-gone")
    publish("batch.completed", "batch_1", {})
    assert len(published_events.take()) == 1
    assert receiver.requests == []
