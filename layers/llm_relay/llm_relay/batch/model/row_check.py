"""What every row of a batch must be, checked before anything is run."""

from __future__ import annotations

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
from llm_relay.endpoints.endpoint import endpoint_at
from llm_relay.providers.dialects.dialect import OPENAI
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits
from llm_relay.validation.fields import short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_relay.batch.model.lines import Line
    from llm_relay.core.client import Client
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.dialects.dialect import Dialect

    # Returns what the provider lists of a model, if anything.
    Listed = Callable[[str], Mapping[str, Any] | None]

MAX_CUSTOM_ID_CHARACTERS = 512

_EXAMPLE = '{"custom_id": "row-1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}'


class InvalidLine(Exception):  # noqa: N818 - what it is, as OpenAI's list of errors has it
    """A line that cannot be run; the message says what to do."""

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
    """What one provider takes, as far as it is told."""

    dialect: Dialect = OPENAI
    listed: Listed | None = None
    has: Callable[[str], object] | None = None  # tells whether it is to be asked for a model


class RowChecker:
    """Checks rows as calls are checked: a provider that could answer is enough.

    Without a url, the first row names the endpoint of all.
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
        """Return the row in a line, or raise BadLine; another RelayError if nobody can tell."""
        row = parse_row(line)
        endpoint = self._endpoint_of(row)
        try:
            _check_alone(endpoint, row.body)
            self._check_with_any(endpoint, row.body)
        except (BadRequest, ModelNotAllowed, ModelNotFound, ModelUnpriced) as refusal:
            param = f"body.{refusal.param}" if refusal.param else "body"
            raise InvalidLine(refusal.code or "invalid_request", refusal.message, param) from None
        return row

    def _endpoint_of(self, row: BatchRow) -> Endpoint:
        if self._endpoint is None:
            self._endpoint = _needs_endpoint(row.url)
            self.url = row.url
        if row.url != self.url:
            why = f"'url' must be '{self.url}', the endpoint of this batch, on every line."
            raise InvalidLine("mismatched_url", why, "url")
        return self._endpoint

    def _check_with_any(self, endpoint: Endpoint, body: dict[str, Any]) -> None:
        refusals: list[RelayError] = []
        for terms in self._providers:
            try:
                return self._check_with(terms, endpoint, body)
            except RelayError as refusal:
                refusals.append(refusal)
        raise most_relevant(refusals)

    def _check_with(self, terms: ProviderRules, endpoint: Endpoint, body: dict[str, Any]) -> None:
        if terms.has and not terms.has(body["model"]):
            why = "There is no such model. GET /v1/models lists what there is."
            raise ModelNotFound(why, param="model")
        endpoint.translate(Translation(terms.dialect, b"", body))
        if terms.listed and model_limits.needs_listing(body):
            model_limits.check(body, terms.listed(body["model"]))
        if self._client:
            needs_entry = self._client.budget_nanos is not None
            entry = terms.listed(body["model"]) if needs_entry and terms.listed else None
            admit(self._client, endpoint.path, body, entry, terms.dialect)


def parse_row(line: Line) -> BatchRow:
    """Return the row in a line, its body unchecked; BadLine if it is none."""
    document = _object_in(line)
    custom_id, method = document.get("custom_id"), document.get("method")
    url, body = document.get("url"), document.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID_CHARACTERS:
        _refuse(document, "custom_id", f"a string of 1 to {MAX_CUSTOM_ID_CHARACTERS} characters")
    if method != "POST":
        _refuse(document, "method", "'POST'")
    if not isinstance(url, str):
        _refuse(document, "url", "a string such as '/v1/chat/completions'")
    if not isinstance(body, dict):
        _refuse(document, "body", 'an object such as {"model": "..."}')
    return BatchRow(custom_id=custom_id, url=url, body=body)


def _check_alone(endpoint: Endpoint, body: dict[str, Any]) -> None:
    endpoint.check(body)
    for name in ("stream", "background"):
        if body.get(name):
            raise BadRequest(f"'{name}' cannot be used in a batch. Leave it out.", param=name)


def _object_in(line: Line) -> dict[str, Any]:
    if line.is_too_long:
        raise InvalidLine("line_too_long", "The line is longer than 8 MiB. Send images as URLs.")
    try:
        document = parse(line.text)
    except UnicodeDecodeError:
        raise InvalidLine(
            "invalid_utf8", "The line is not UTF-8. Save the file as UTF-8."
        ) from None
    except UnsafeJsonError as error:
        raise InvalidLine("invalid_json_line", f"The line {error}.") from None
    except ValueError:
        why = f"The line is not valid JSON. Send one object per line, such as {_EXAMPLE}."
        raise InvalidLine("invalid_json_line", why) from None
    if not isinstance(document, dict):
        raise InvalidLine(
            "invalid_json_line", f"The line must be a JSON object, such as {_EXAMPLE}."
        )
    return document


def _needs_endpoint(url: str) -> Endpoint:
    endpoint = endpoint_at(url)
    if endpoint is None:
        why = f"{short(url)} is not served. Send '/v1/chat/completions' or '/v1/responses'."
        raise InvalidLine("invalid_url", why, "url")
    return endpoint


def _refuse(document: Mapping[str, Any], name: str, wanted: str) -> NoReturn:
    is_there = document.get(name) is not None
    code = f"invalid_{name}" if is_there else "missing_required_parameter"
    raise InvalidLine(
        code, f"'{name}' {'must be' if is_there else 'is missing. Send'} {wanted}.", name
    )
