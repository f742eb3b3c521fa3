# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a forked child does first: it forgets what its parent's threads may hold."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_child(forget: Callable[[], None]) -> None:
    """Calls `forget` in each child that is forked from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
