"""What the template's resources are made with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMaker:
    """What a resource is made with; files that it names lie under `root`.

    What takes long and is seldom needed is handed to `later`.
    """

    client: Callable[[str], Any]
    client_key: str
    provider_key: str
    root: Path
    later: Callable[[Callable[[], object]], None]


Make = Callable[[ResourceMaker, str, Mapping[str, Any]], str]
