"""Creates, rotates and revokes client keys."""

import secrets
import string
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from cli.aws.api_keys import ApiKeys, RateLimits
from cli.aws.target_stack import Stack
from cli.services.clients import ClientKey, ClientProfile, ClientProfiles
from llm_relay.core.client import ClientLimits

ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 40
LAST_SERIAL = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key with its value, which is shown only once."""

    client: ClientProfile
    key: ClientKey
    value: str


class ClientAdmin:
    """Manages the client keys of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clients = ClientProfiles(stack.clients_table())
        self.api_keys = ApiKeys(stack)

    def create(self, name: str, limits: ClientLimits, rate_limits: RateLimits) -> IssuedKey:
        """Create a client with its first key."""
        client_id, now = secrets.token_hex(6), int(time.time())
        with ExitStack() as undo:
            plan_id = self.api_keys.shared_plan
            if rate_limits.any:
                plan_id = self.api_keys.make_plan(f"relay-{client_id}", rate_limits)
                undo.callback(self.api_keys.delete_plan, plan_id)
            client = ClientProfile(
                id=client_id, name=name, created_at=now, plan_id=plan_id, limits=limits
            )
            issued = self._issue(client, undo)
            self.clients.add(issued.client)
            undo.pop_all()
        return issued

    def rotate(self, client: ClientProfile, overlap_seconds: int) -> IssuedKey:
        """Issue another key; existing keys expire when the overlap ends."""
        if client.revoked_at is not None:
            raise click.ClickException(f"{client.name} is revoked: create a new client.")
        end = int(time.time()) + overlap_seconds
        dying = tuple(replace(key, dies_at=min(key.dies_at or end, end)) for key in client.keys)
        with ExitStack() as undo:
            issued = self._issue(replace(client, keys=dying), undo)
            self.clients.add_key(issued.key, issued.client)
            undo.pop_all()
        return issued

    def revoke(self, client: ClientProfile) -> None:
        """Revoke all keys of a client, and delete its own plan."""
        for key in client.keys:
            self.api_keys.delete(key.key_id)
        self.api_keys.delete_plan(client.plan_id)
        self.clients.mark_revoked(client, int(time.time()))

    def revoke_key(self, client: ClientProfile, key_id: str) -> None:
        """Revoke one key; revoking the last key revokes the client."""
        (key,) = (key for key in client.keys if key.key_id == key_id)
        if len(client.keys) == 1:
            self.revoke(client)
            return
        self.api_keys.delete(key.key_id)
        self.clients.drop_key(client, key)

    def prune(self) -> list[tuple[ClientProfile, ClientKey]]:
        """Delete expired keys; return them with their clients."""
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

    def _issue(self, client: ClientProfile, undo: ExitStack) -> IssuedKey:
        """Create the client's next key; it is valid once the profile has its serial."""
        number = max((int(key.serial, 16) for key in client.keys), default=0) + 1
        if number > LAST_SERIAL:
            raise click.ClickException(f"{client.name} has had too many keys: create a new client.")
        serial = f"{number:04x}"
        secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
        value = f"sk-relay-{client.id}-{serial}-{secret}"
        key_id = self.api_keys.make(f"relay-{client.id}-{serial}", value, client.name)
        undo.callback(self.api_keys.delete, key_id)
        self.api_keys.put_on_plan(key_id, client.plan_id)
        key = ClientKey(serial=serial, key_id=key_id, created_at=int(time.time()))
        return IssuedKey(client=replace(client, keys=(*client.keys, key)), key=key, value=value)
