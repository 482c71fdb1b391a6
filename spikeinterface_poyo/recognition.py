"""Third-party types by the names of their classes, so that only packages that users have are needed; NumPy scalars."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_a(obj: Any, package: str, *names: str) -> bool:
    """Whether ``obj`` is an instance of a class of ``package`` with one of these names, without importing it."""
    return any(cls.__module__.split(".")[0] == package and cls.__name__ in names for cls in type(obj).__mro__)


def is_list(obj: Any) -> bool:
    """Whether ``obj`` is a list, or what neo has for one."""
    return isinstance(obj, list) or is_a(obj, "neo", "ObjectList")


def as_python(value: Any) -> Any:
    """A NumPy scalar as Python's own type, all else as it is."""
    return value.item() if isinstance(value, np.generic) else value
