from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spikeinterface_poyo.datasets import load_mouse_head_direction

if TYPE_CHECKING:
    import neo
    from spikeinterface.core import NumpySorting

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recordings that are not shipped with the package."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the extra recordings in ../shared/data, next to the repository")
    return SHARED_DATA


@pytest.fixture(scope="session")
def mouse() -> tuple[NumpySorting, neo.IrregularlySampledSignal]:
    """The packaged recording: sorting, and cosine and sine of heading."""
    return load_mouse_head_direction()
