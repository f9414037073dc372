"""Context for creating the template's resources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMaker:
    """Context for creating resources; `root` is the folder of their files.

    `later` receives work that is slow and seldom needed.
    """

    client: Callable[[str], Any]
    client_key: str
    provider_key: str
    root: Path
    later: Callable[[Callable[[], object]], None]


Make = Callable[[ResourceMaker, str, Mapping[str, Any]], str]
