"""Where clients get, change and lose their keys."""

import secrets
import string
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from cli.aws.api_keys import ApiKeys, Limits
from cli.aws.target_stack import Stack
from cli.services.clients import Client, ClientKey, Clients, Terms

ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 40
LAST_SERIAL = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A client with a key just made, whose value is known here and now alone."""

    client: Client
    key: ClientKey
    value: str


class ClientAdmin:
    """Makes, replaces and takes back client keys of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clients = Clients(stack.clients_table())
        self.api_keys = ApiKeys(stack.api_gateway, stack.resource("UsagePlan"))

    def create(self, name: str, terms: Terms, limits: Limits) -> Issued:
        """A new client with its first key."""
        client_id, now = secrets.token_hex(6), int(time.time())
        with ExitStack() as undo:
            plan_id = self.api_keys.shared_plan
            if limits.any:
                plan_id = self.api_keys.make_plan(f"relay-{client_id}", limits)
                undo.callback(self.api_keys.delete_plan, plan_id)
            client = Client(id=client_id, name=name, created_at=now, plan_id=plan_id, terms=terms)
            issued = self._issue(client, undo)
            self.clients.add(issued.client)
            undo.pop_all()
        return issued

    def rotate(self, client: Client, overlap_seconds: int) -> Issued:
        """A further key for a client; the ones it has die when the overlap ends."""
        if client.revoked_at is not None:
            raise click.ClickException(f"{client.name} is revoked: make a new client for it.")
        end = int(time.time()) + overlap_seconds
        dying = tuple(replace(key, dies_at=min(key.dies_at or end, end)) for key in client.keys)
        with ExitStack() as undo:
            issued = self._issue(replace(client, keys=dying), undo)
            self.clients.add_key(issued.key, issued.client)
            undo.pop_all()
        return issued

    def revoke(self, client: Client) -> None:
        """Takes back every key of a client, and its own plan."""
        for key in client.keys:
            self.api_keys.delete(key.key_id)
        self.api_keys.delete_plan(client.plan_id)
        self.clients.mark_revoked(client, int(time.time()))

    def revoke_key(self, client: Client, key_id: str) -> None:
        """Takes back one key of a client; with its last one the client goes."""
        (key,) = (key for key in client.keys if key.key_id == key_id)
        if len(client.keys) == 1:
            self.revoke(client)
            return
        self.api_keys.delete(key.key_id)
        self.clients.drop_key(client, key)

    def prune(self) -> list[tuple[Client, ClientKey]]:
        """Deletes the keys whose overlap has ended; returns them with their clients."""
        now = time.time()
        dead = [
            (client, key)
            for client in self.clients.all()
            for key in client.keys
            if key.dies_at is not None and key.dies_at <= now
        ]
        for client, key in dead:
            self.api_keys.delete(key.key_id)
            self.clients.drop_key(client, key)
        return dead

    def _issue(self, client: Client, undo: ExitStack) -> Issued:
        """Makes the next key of a client; it opens nothing until the profile knows its serial."""
        number = max((int(key.serial, 16) for key in client.keys), default=0) + 1
        if number > LAST_SERIAL:
            raise click.ClickException(f"{client.name} had too many keys: make a new client.")
        serial = f"{number:04x}"
        secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
        value = f"sk-relay-{client.id}-{serial}-{secret}"
        key_id = self.api_keys.make(f"relay-{client.id}-{serial}", value, client.name)
        undo.callback(self.api_keys.delete, key_id)
        self.api_keys.put_on_plan(key_id, client.plan_id)
        key = ClientKey(serial=serial, key_id=key_id, created_at=int(time.time()))
        return Issued(client=replace(client, keys=(*client.keys, key)), key=key, value=value)
