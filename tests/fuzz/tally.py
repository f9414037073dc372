"""How much was tried."""

from __future__ import annotations

from collections import Counter

TRIED: Counter[str] = Counter()
