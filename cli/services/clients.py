"""Clients and their keys as DynamoDB keeps them; no value of a key is among it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.commands.option_types import KEY_LIKE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

PROFILE = "profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """One API key of a client; times are seconds since the epoch."""

    serial: str
    key_id: str
    created_at: int
    dies_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a client may do."""

    budget_nanos: int | None = None
    budget_per: str | None = None
    models: tuple[str, ...] = ()  # none: any
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A caller that has keys of its own; times are seconds since the epoch."""

    id: str
    name: str
    created_at: int
    plan_id: str
    terms: Terms
    keys: tuple[ClientKey, ...] = ()
    revoked_at: int | None = None


class Clients:
    """The profiles in the table of clients."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def all(self) -> list[Client]:
        """Every client, the revoked ones too, by name."""
        return sorted(map(client_of, self._items()), key=lambda client: (client.name, client.id))

    def find(self, who: str) -> Client:
        """The client of an id or of a name that one client has; a ClickException if none is it."""
        if KEY_LIKE.match(who):
            raise click.ClickException("That looks like a key. Name the client by its id or name.")
        found = [client for client in self.all() if who in {client.id, client.name}]
        alive = [client for client in found if client.revoked_at is None]
        if len(alive or found) == 1:
            return (alive or found)[0]
        if not found:
            raise click.ClickException(f"There is no client {who}. See 'relay keys list'.")
        ids = ", ".join(client.id for client in alive or found)
        raise click.ClickException(f"Several clients are called {who}; give the id: {ids}.")

    def with_key(self, key_id: str) -> Client:
        """The client that has an API key of that id; a ClickException if none has."""
        for client in self.all():
            if any(key.key_id == key_id for key in client.keys):
                return client
        raise click.ClickException("No client has a key of that id. See 'relay keys list'.")

    def add(self, client: Client) -> None:
        """Puts a new client into the table."""
        self._table.put_item(Item=item_of(client), ConditionExpression="attribute_not_exists(pk)")

    def add_key(self, new: ClientKey, client: Client) -> None:
        """Adds a key of a client, and says when its other keys die; all of it or nothing."""
        names = {"#keys": "keys", "#new": new.serial}
        values: dict[str, Any] = {":new": key_item(new)}
        changes = ["#keys.#new = :new"]
        conditions = ["attribute_not_exists(#keys.#new)", "attribute_not_exists(revoked_at)"]
        for key in client.keys:
            if key.dies_at is not None:
                names[f"#old{key.serial}"], values[f":at{key.serial}"] = key.serial, key.dies_at
                changes.append(f"#keys.#old{key.serial}.dies_at = :at{key.serial}")
                conditions.append(f"attribute_exists(#keys.#old{key.serial})")
        self._table.update_item(
            Key=table_key(client.id),
            UpdateExpression="SET " + ", ".join(changes),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def drop_key(self, client: Client, key: ClientKey) -> None:
        """Takes a key out of a client's profile."""
        self._table.update_item(
            Key=table_key(client.id),
            UpdateExpression="REMOVE #keys.#serial",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#keys": "keys", "#serial": key.serial},
        )

    def mark_revoked(self, client: Client, now: int) -> None:
        """Says in a client's profile that it has no key any more, and since when."""
        self._table.update_item(
            Key=table_key(client.id),
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now), #keys = :none",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#keys": "keys"},
            ExpressionAttributeValues={":now": now, ":none": {}},
        )

    def _items(self) -> Iterator[Mapping[str, Any]]:
        start: dict[str, Any] = {}
        while True:
            page = self._table.scan(
                FilterExpression="sk = :profile",
                ExpressionAttributeValues={":profile": PROFILE},
                ConsistentRead=True,
                **start,
            )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def table_key(client_id: str) -> dict[str, Any]:
    """The table's key of a client's profile."""
    return {"pk": f"client#{client_id}", "sk": PROFILE}


def item_of(client: Client) -> dict[str, Any]:
    """A client as the table holds it: what is not set is not there."""
    terms = client.terms
    item = {
        **table_key(client.id),
        "name": client.name,
        "created_at": client.created_at,
        "plan_id": client.plan_id,
        "budget_nanos": terms.budget_nanos,
        "budget_per": terms.budget_per,
        "models": list(terms.models) or None,
        "max_output_tokens": terms.max_output_tokens,
        "keys": {key.serial: key_item(key) for key in client.keys},
    }
    return {name: value for name, value in item.items() if value is not None}


def key_item(key: ClientKey) -> dict[str, Any]:
    """A new key as the table holds it."""
    return {"key_id": key.key_id, "created_at": key.created_at}


def client_of(item: Mapping[str, Any]) -> Client:
    """A client from the table."""
    return Client(
        id=str(item["pk"]).partition("#")[2],
        name=item["name"],
        created_at=int(item["created_at"]),
        plan_id=item["plan_id"],
        terms=Terms(
            budget_nanos=whole(item.get("budget_nanos")),
            budget_per=item.get("budget_per"),
            models=tuple(item.get("models", ())),
            max_output_tokens=whole(item.get("max_output_tokens")),
        ),
        keys=tuple(
            ClientKey(
                serial=serial,
                key_id=key["key_id"],
                created_at=int(key["created_at"]),
                dies_at=whole(key.get("dies_at")),
            )
            for serial, key in sorted(item["keys"].items())
        ),
        revoked_at=whole(item.get("revoked_at")),
    )


def whole(number: Any) -> int | None:
    """A number from the table, which gives decimals."""
    return None if number is None else int(number)
