"""Translates a request into the provider's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from llm_relay.core.defaults import Document
    from llm_relay.providers.dialects.dialect import Dialect


class Translation:
    """Changes one request step by step; an unchanged request keeps the caller's bytes."""

    def __init__(self, dialect: Dialect, text: bytes, body: Document) -> None:
        self._dialect = dialect
        self._text = text
        self._body = body
        self._original = body
        self.dropped: tuple[str, ...] = ()  # the paths of dropped fields

    @property
    def text(self) -> bytes:
        """The request, encoded again only if it was changed."""
        return self._text if self._body is self._original else compact(self._body)

    def reject_fields(self, path: str) -> None:
        """Raise BadRequest for fields that cannot be dropped without changing the request."""
        for name, advice in self._dialect.rejected_fields.get(path, {}).items():
            if self._body.get(name):
                raise BadRequest(f"This provider takes no '{name}' here. {advice}", param=name)
        for one, other in self._dialect.exclusive_fields:
            if self._body.get(one) and self._body.get(other) is not None:
                message = f"'{other}' excludes '{one}' here. Send one of them."
                raise BadRequest(message, param=other)

    def reject_references(self) -> None:
        """Raise BadRequest for references to earlier output, if the provider stores none."""
        items = self._body.get("input")
        if self._dialect.stores_responses or not isinstance(items, list):
            return
        for index, item in enumerate(items):
            if _is_reference(item):
                raise BadRequest(
                    "This provider stores no responses to refer to. Send the whole item. (In "
                    "Vercel's AI SDK: providerOptions.openai.store = false.)",
                    param=f"input[{index}]",
                )

    def rename_fields(self) -> None:
        """Give chat fields the provider's names."""
        for name, new_name in self._dialect.renamed_chat_fields.items():
            if name not in self._body:
                continue
            value, body = self._body[name], self._without(name)
            if value is not None and body.get(new_name) not in (None, value):
                raise BadRequest(f"'{name}' and '{new_name}' differ. Send one of them.", param=name)
            self._body = body if value is None else body | {new_name: value}

    def drop_unknown_fields(self) -> None:
        """Drop chat fields for which the provider would refuse the whole request."""
        known = self._dialect.chat_fields
        for name in [name for name in self._body if known is not None and name not in known]:
            self._body = self._without(name)
            self.dropped += (name,)

    def rename_roles(self, name: str) -> None:
        """Give the roles in a list of messages the provider's names."""
        roles, messages = self._dialect.renamed_roles, self._body.get(name)
        if isinstance(messages, list) and any(_role(message) in roles for message in messages):
            renamed = [
                message | {"role": roles[_role(message)]} if _role(message) in roles else message
                for message in messages
            ]
            self._body = self._body | {name: renamed}

    def drop_strict(self, nested_in: str | None) -> None:
        """Drop `strict` of tools, if the provider does not support it."""
        tools = self._body.get("tools")
        if self._dialect.supports_strict_tools or not isinstance(tools, list):
            return
        changed = [self._without_strict(index, tool, nested_in) for index, tool in enumerate(tools)]
        if changed != tools:
            self._body = self._body | {"tools": changed}

    def request_usage(self) -> None:
        """Make a chat stream report its usage."""
        options = self._body.get("stream_options")
        options = options if isinstance(options, dict) else {}
        if self._body.get("stream") and not options.get("include_usage"):
            self._body = self._body | {"stream_options": options | {"include_usage": True}}

    def _without(self, name: str) -> Document:
        return {key: value for key, value in self._body.items() if key != name}

    def _without_strict(self, index: int, tool: Document, nested_in: str | None) -> Document:
        holder = tool.get(nested_in) if nested_in and isinstance(tool, dict) else tool
        if not isinstance(holder, dict) or "strict" not in holder:
            return tool
        path = f"tools[{index}].{nested_in}.strict" if nested_in else f"tools[{index}].strict"
        self.dropped += (path,)
        bare = {key: value for key, value in holder.items() if key != "strict"}
        return tool | {nested_in: bare} if nested_in else bare


def _role(message: Any) -> Any:
    role = message.get("role") if isinstance(message, dict) else None
    return role if isinstance(role, str) else None


def _is_reference(item: Any) -> bool:
    """Return whether an input item refers to an earlier one; such an item needs no type."""
    if not isinstance(item, dict):
        return False
    kind, is_bare = item.get("type"), item.keys() <= {"id", "type"}
    return kind == "item_reference" or (kind is None and "id" in item and is_bare)
