"""Warnings that point to the line that called this package, however deep inside it they arise."""

from __future__ import annotations

import inspect
import warnings


def warn(message: str) -> None:
    """Issue a UserWarning at the caller of the package, so that Python shows that line and repeats it for another."""
    frame, level, outside = inspect.currentframe(), 1, 1
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
            outside = level + 1
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=outside)
