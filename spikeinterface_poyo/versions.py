"""Versions that results may depend on, for whoever reads them later."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from . import __version__

OTHERS = ("torch", "spikeinterface", "numpy")


def versions() -> dict[str, str]:
    """Version of this package and of those that results may depend on, by name."""
    return {"spikeinterface_poyo": __version__} | {name: version_of(name) for name in OTHERS}


def version_of(name: str) -> str:
    """Version of a package; "unknown" where it was not installed but copied, which is no reason to lose results."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
