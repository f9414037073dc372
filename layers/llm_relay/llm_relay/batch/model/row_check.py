"""Checks the rows of a batch before any of them is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from llm_relay.billing.admission import admit
from llm_relay.core.errors import (
    BadRequest,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    RelayError,
    most_relevant,
)
from llm_relay.core.json_codec import UnsafeJsonError, parse
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.providers.dialects.dialect import OPENAI, Dialect
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits
from llm_relay.validation.fields import quote

if TYPE_CHECKING:
    from llm_relay.batch.model.input_file import Line
    from llm_relay.core.client import Client

    # Returns the entry of a model in the provider's list, if it has one.
    Listed = Callable[[str], Mapping[str, Any] | None]

_MAX_CUSTOM_ID = 512

_EXAMPLE = '{"custom_id": "row-1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}'


class InvalidLine(Exception):  # noqa: N818 - named after the line
    """A line that cannot be run, with an entry for the batch's errors."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One request of a batch."""

    custom_id: str
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """What is known of the requests that a provider accepts."""

    dialect: Dialect = OPENAI
    listed: Listed | None = None
    serves: Callable[[str], object] | None = None  # truthy if it is configured for a model


class RowChecker:
    """Checks rows as interactive calls are checked; one provider must accept each row.

    Without a url, the first row sets the endpoint of the batch.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Client | None = None,
        providers: Sequence[ProviderRules] = (ProviderRules(),),
    ) -> None:
        self.url = url
        self._endpoint = endpoint_at(url) if url else None
        self._client = client
        self._providers = providers

    def check(self, line: Line) -> BatchRow:
        """Return the row in a line; InvalidLine, or another RelayError if it cannot be checked."""
        row = parse_row(line)
        endpoint = self._endpoint_of(row)
        try:
            endpoint.check_basics(row.body)
            for name in ("stream", "background"):
                if row.body.get(name):
                    why = f"'{name}' cannot be used in a batch. Remove it."
                    raise BadRequest(why, param=name)
            self._check_with_any(endpoint, row.body)
        except (BadRequest, ModelNotAllowed, ModelNotFound, ModelUnpriced) as error:
            param = f"body.{error.param}" if error.param else "body"
            raise InvalidLine(error.code or "invalid_request", error.message, param) from None
        return row

    def _endpoint_of(self, row: BatchRow) -> Endpoint:
        if self._endpoint is None:
            self._endpoint = endpoint_at(row.url)
            if self._endpoint is None:
                served = "Send '/v1/chat/completions' or '/v1/responses'."
                raise InvalidLine("invalid_url", f"{quote(row.url)} is not served. {served}", "url")
            self.url = row.url
        if row.url != self.url:
            why = f"'url' must be '{self.url}', the endpoint of this batch, on every line."
            raise InvalidLine("mismatched_url", why, "url")
        return self._endpoint

    def _check_with_any(self, endpoint: Endpoint, body: dict[str, Any]) -> None:
        errors: list[RelayError] = []
        for rules in self._providers:
            try:
                return self._check_with(rules, endpoint, body)
            except RelayError as error:
                errors.append(error)
        raise most_relevant(errors)

    def _check_with(self, rules: ProviderRules, endpoint: Endpoint, body: dict[str, Any]) -> None:
        if rules.serves and not rules.serves(body["model"]):
            why = "There is no such model. GET /v1/models lists the available models."
            raise ModelNotFound(why, param="model")
        endpoint.check_details(body, rules.dialect)
        endpoint.translate(Translation(rules.dialect, b"", body))
        if rules.listed and model_limits.applies_to(body):
            model_limits.check(body, rules.listed(body["model"]))
        if self._client:
            has_budget = self._client.budget_nanos is not None
            entry = rules.listed(body["model"]) if has_budget and rules.listed else None
            admit(self._client, endpoint.path, body, entry, rules.dialect)


def parse_row(line: Line) -> BatchRow:
    """Return the row in a line, with its body unchecked; InvalidLine if it is not a row."""
    document = _parse_object(line)
    custom_id, method = document.get("custom_id"), document.get("method")
    url, body = document.get("url"), document.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _MAX_CUSTOM_ID:
        _reject_field(document, "custom_id", f"a string of 1 to {_MAX_CUSTOM_ID} characters")
    if method != "POST":
        _reject_field(document, "method", "'POST'")
    if not isinstance(url, str):
        _reject_field(document, "url", "a string such as '/v1/chat/completions'")
    if not isinstance(body, dict):
        _reject_field(document, "body", 'an object such as {"model": "..."}')
    return BatchRow(custom_id=custom_id, url=url, body=body)


def _parse_object(line: Line) -> dict[str, Any]:
    if line.is_too_long:
        raise InvalidLine("line_too_long", "The line is longer than 8 MiB. Send images as URLs.")
    try:
        document = parse(line.text)
    except UnicodeDecodeError:
        why = "The line is not UTF-8. Save the file as UTF-8."
        raise InvalidLine("invalid_utf8", why) from None
    except UnsafeJsonError as error:
        raise InvalidLine("invalid_json_line", f"The line {error}.") from None
    except ValueError:
        why = f"The line is not valid JSON. Send one object per line, such as {_EXAMPLE}."
        raise InvalidLine("invalid_json_line", why) from None
    if not isinstance(document, dict):
        why = f"The line must be a JSON object, such as {_EXAMPLE}."
        raise InvalidLine("invalid_json_line", why)
    return document


def _reject_field(document: Mapping[str, Any], name: str, expected: str) -> NoReturn:
    if document.get(name) is None:
        why = f"'{name}' is missing. Send {expected}."
        raise InvalidLine("missing_required_parameter", why, name)
    raise InvalidLine(f"invalid_{name}", f"'{name}' must be {expected}.", name)
