"""Optional packages: what is said where one is needed and not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(extra: str, purpose: str) -> Iterator[None]:
    """Context of the import of an optional package, which comes with an ``extra`` of this one.

    Raises
    ------
    ImportError
        Where it is not installed; it says what for, by ``purpose``, and how to get it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{purpose} needs {error.name}: pip install 'spikeinterface_poyo[{extra}]'", name=error.name
        ) from error
