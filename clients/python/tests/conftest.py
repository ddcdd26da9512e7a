from __future__ import annotations

from collections.abc import Iterator

import pytest
from stack import Stack, stack


@pytest.fixture(scope="session")
def live() -> Iterator[Stack]:
    """The stack that all live tests share; each has queues of its own."""
    with stack() as running:
        yield running
