"""Client profiles in DynamoDB. They never contain a key's value."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from cli.aws.target_stack import Stack, target_flags
from llm_relay.core.client import Client, ClientLimits, parse_limits

PROFILE = "profile"
KEY_LIKE = re.compile(r"(sk|ak)[-_]")  # a key pasted instead of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """One API key of a client; times are seconds since the epoch."""

    key_id: str
    serial: str
    created_at: int
    expires_at: int | None = None  # stored as `dies_at`


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """A client with its keys; times are seconds since the epoch."""

    id: str
    name: str
    created_at: int
    plan_id: str
    limits: ClientLimits
    keys: tuple[ClientKey, ...] = ()
    revoked_at: int | None = None

    def as_caller(self) -> Client:
        """Return the client as a caller without a key."""
        return Client(id=self.id, key_id="", **parse_limits(self.limits.values()))


class ClientProfiles:
    """The profiles in a stack's clients table, which also has ledgers and usage."""

    def __init__(self, stack: Stack) -> None:
        dynamodb = stack.session.resource("dynamodb", endpoint_url=stack.endpoint_url)
        self._table = dynamodb.Table(stack.resource("ClientsTable"))

    def all(self) -> list[ClientProfile]:
        """Return all clients, including revoked ones, by name."""
        pages = self._table.meta.client.get_paginator("scan").paginate(
            TableName=self._table.name,
            FilterExpression="sk = :profile",
            ExpressionAttributeValues={":profile": PROFILE},
            ConsistentRead=True,
        )
        clients = [_profile_in(item) for page in pages for item in page["Items"]]
        return sorted(clients, key=lambda client: (client.name, client.id))

    def find(self, name: str) -> ClientProfile:
        """Return a client by unique name or id; ClickException if there is none."""
        if KEY_LIKE.match(name):
            raise click.ClickException("That looks like a key. Name the client by its id or name.")
        found = [client for client in self.all() if name in {client.id, client.name}]
        found = [client for client in found if client.revoked_at is None] or found
        if not found:
            raise click.ClickException(f"There is no client {name}. See 'relay keys list'.")
        if len(found) > 1:
            ids = ", ".join(client.id for client in found)
            raise click.ClickException(f"Several clients are named {name}; use the id: {ids}.")
        return found[0]

    def check_unused(self, name: str) -> None:
        """Raise ClickException if a client that is not revoked has a name."""
        if any(client.name == name and client.revoked_at is None for client in self.all()):
            rotate = f"relay keys rotate {shlex.quote(name)}{target_flags()}"
            raise click.ClickException(
                f"A client named {name} exists. Rotate its key with: {rotate}"
            )

    def with_key(self, key_id: str) -> ClientProfile:
        """Return the client with an API key id; ClickException if there is none."""
        for client in self.all():
            if any(key.key_id == key_id for key in client.keys):
                return client
        raise click.ClickException("No client has a key with that id. See 'relay keys list'.")

    def add(self, client: ClientProfile) -> None:
        """Store a new client; unset limits are omitted."""
        item = {
            **_table_key(client.id),
            "name": client.name,
            "created_at": client.created_at,
            "plan_id": client.plan_id,
            "keys": {key.serial: _key_item(key) for key in client.keys},
            **client.limits.values(),
        }
        self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")

    def add_last_key(self, client: ClientProfile) -> None:
        """Add the client's last key and store the expiry of the others, atomically."""
        *others, new = client.keys
        names = {"#keys": "keys", "#new": new.serial}
        values: dict[str, Any] = {":new": _key_item(new)}
        changes = ["#keys.#new = :new"]
        conditions = ["attribute_not_exists(#keys.#new)", "attribute_not_exists(revoked_at)"]
        for key in others:
            names[f"#old{key.serial}"], values[f":at{key.serial}"] = key.serial, key.expires_at
            changes.append(f"#keys.#old{key.serial}.dies_at = :at{key.serial}")
            conditions.append(f"attribute_exists(#keys.#old{key.serial})")
        self._table.update_item(
            Key=_table_key(client.id),
            UpdateExpression="SET " + ", ".join(changes),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def drop_key(self, client: ClientProfile, key: ClientKey) -> None:
        """Remove a key from a client's profile."""
        self._table.update_item(
            Key=_table_key(client.id),
            UpdateExpression="REMOVE #keys.#serial",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#keys": "keys", "#serial": key.serial},
        )

    def mark_revoked(self, client: ClientProfile, now: int) -> None:
        """Mark a client as revoked, without keys."""
        self._table.update_item(
            Key=_table_key(client.id),
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now), #keys = :none",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#keys": "keys"},
            ExpressionAttributeValues={":now": now, ":none": {}},
        )


def _table_key(client_id: str) -> dict[str, Any]:
    return {"pk": f"client#{client_id}", "sk": PROFILE}


def _key_item(key: ClientKey) -> dict[str, Any]:
    return {"key_id": key.key_id, "created_at": key.created_at}


def _profile_in(item: Mapping[str, Any]) -> ClientProfile:
    return ClientProfile(
        id=str(item["pk"]).partition("#")[2],
        name=item["name"],
        created_at=int(item["created_at"]),
        plan_id=item["plan_id"],
        limits=ClientLimits(**parse_limits(item)),
        keys=tuple(
            ClientKey(
                serial=serial,
                key_id=key["key_id"],
                created_at=int(key["created_at"]),
                expires_at=int(key["dies_at"]) if "dies_at" in key else None,
            )
            for serial, key in sorted(item["keys"].items())
        ),
        revoked_at=int(item["revoked_at"]) if "revoked_at" in item else None,
    )
