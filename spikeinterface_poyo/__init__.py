"""POYO neural population decoding for SpikeInterface.

Public names are loaded on first use, so that importing the package costs nothing beyond SpikeInterface itself; only the
extension is registered at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import extension as _extension  # noqa: F401 (registers poyo_decoding with SpikeInterface)

if TYPE_CHECKING:
    from .alignment import align
    from .binned_counts import BinnedCounts
    from .classifier import POYOClassifier
    from .counts import from_counts
    from .curation_effect import compare_curation
    from .datasets import load_mouse_head_direction
    from .estimator import POYODecoder
    from .extension import compute_poyo_decoding
    from .nwb_in import read_nwb_behavior, read_nwb_epochs
    from .registry import list_pretrained
    from .samples import SpikeSamples
    from .session import Session
    from .simulation import simulate_session
    from .splitters import BlockedKFold
    from .unit_metrics import get_unit_metrics, set_unit_properties
    from .unit_selection import SelectUnits

__version__ = "0.1.0"

_HOME = {
    "BinnedCounts": "binned_counts",
    "BlockedKFold": "splitters",
    "POYOClassifier": "classifier",
    "POYODecoder": "estimator",
    "SelectUnits": "unit_selection",
    "Session": "session",
    "SpikeSamples": "samples",
    "align": "alignment",
    "compare_curation": "curation_effect",
    "compute_poyo_decoding": "extension",
    "from_counts": "counts",
    "get_unit_metrics": "unit_metrics",
    "list_pretrained": "registry",
    "load_mouse_head_direction": "datasets",
    "read_nwb_behavior": "nwb_in",
    "read_nwb_epochs": "nwb_in",
    "set_unit_properties": "unit_metrics",
    "simulate_session": "simulation",
}

__all__ = [
    "BinnedCounts",
    "BlockedKFold",
    "POYOClassifier",
    "POYODecoder",
    "SelectUnits",
    "Session",
    "SpikeSamples",
    "align",
    "compare_curation",
    "compute_poyo_decoding",
    "from_counts",
    "get_unit_metrics",
    "list_pretrained",
    "load_mouse_head_direction",
    "read_nwb_behavior",
    "read_nwb_epochs",
    "set_unit_properties",
    "simulate_session",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
