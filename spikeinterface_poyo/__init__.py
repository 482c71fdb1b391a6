"""POYO neural population decoding for SpikeInterface.

Public names are loaded on first use, so that importing the package costs nothing beyond SpikeInterface itself; only the
extension is registered at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .postprocessing import extension as _extension  # noqa: F401 (registers poyo_decoding with SpikeInterface)

if TYPE_CHECKING:
    from .classifier import POYOClassifier
    from .estimator import POYODecoder
    from .inputs.alignment import align
    from .inputs.counts import from_counts
    from .inputs.nwb_in import read_nwb_behavior, read_nwb_epochs
    from .pipelines.binned_counts import BinnedCounts
    from .pipelines.splitters import BlockedKFold
    from .pipelines.unit_selection import SelectUnits
    from .postprocessing.curation_effect import compare_curation
    from .postprocessing.extension import compute_poyo_decoding
    from .postprocessing.unit_metrics import get_unit_metrics, set_unit_properties
    from .recordings.datasets import load_mouse_head_direction
    from .recordings.simulation import simulate_session
    from .sessions.samples import SpikeSamples
    from .sessions.session import Session
    from .weights.registry import list_pretrained

__version__ = "0.1.0"

_HOME = {
    "BinnedCounts": "pipelines.binned_counts",
    "BlockedKFold": "pipelines.splitters",
    "POYOClassifier": "classifier",
    "POYODecoder": "estimator",
    "SelectUnits": "pipelines.unit_selection",
    "Session": "sessions.session",
    "SpikeSamples": "sessions.samples",
    "align": "inputs.alignment",
    "compare_curation": "postprocessing.curation_effect",
    "compute_poyo_decoding": "postprocessing.extension",
    "from_counts": "inputs.counts",
    "get_unit_metrics": "postprocessing.unit_metrics",
    "list_pretrained": "weights.registry",
    "load_mouse_head_direction": "recordings.datasets",
    "read_nwb_behavior": "inputs.nwb_in",
    "read_nwb_epochs": "inputs.nwb_in",
    "set_unit_properties": "postprocessing.unit_metrics",
    "simulate_session": "recordings.simulation",
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
