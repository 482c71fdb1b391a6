from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy and torch read it: processes side by side have a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

from spikeinterface_poyo import align
from spikeinterface_poyo.recordings.datasets import load_mouse_head_direction

if TYPE_CHECKING:
    import neo
    from spikeinterface.core import NumpySorting

    from spikeinterface_poyo import POYODecoder

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--device cuda`` runs on a GPU what else runs on the CPU."""
    parser.addoption("--device", default="cpu", help="where the small decoders of the tests are trained")


@pytest.fixture(scope="session", autouse=True)
def _heed_interrupts() -> None:
    """A shell's background job is started with SIGINT ignored: tests that wait for a Ctrl-C would wait for ever."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


class Simulated(NamedTuple):
    """A population tuned to a smooth behaviour: spikes as a dict of seconds, behaviour as times (s) and values."""

    spikes: dict[str, np.ndarray]
    times: np.ndarray
    values: np.ndarray

    @property
    def behavior(self) -> tuple[np.ndarray, np.ndarray]:
        return self.times, self.values


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Simulated]:
    """Function that simulates a session: Poisson units whose rate follows the phase of a slow oscillation."""

    def simulated(
        seed: int = 0,
        n_units: int = 8,
        duration: float = 60.0,
        rate: float = 20.0,
        interval: float = 0.1,
        n_outputs: int = 1,
        t_start: float = 0.0,
        silent: int = 0,
    ) -> Simulated:
        rng = np.random.default_rng(seed)
        fine = np.arange(0, duration, 0.002)
        phase = 2 * np.pi * 0.25 * fine + np.sin(2 * np.pi * 0.03 * fine)
        spikes = {}
        for unit, preferred in enumerate(np.linspace(0, 2 * np.pi, n_units, endpoint=False)):
            probability = 0.002 * rate * np.exp(2 * (np.cos(phase - preferred) - 1)) * (unit >= silent)
            fires = rng.random(len(fine)) < probability
            spikes[f"u{unit}"] = t_start + fine[fires] + rng.uniform(0, 0.002, fires.sum())
        times = np.arange(0, duration, interval)
        at = np.interp(times, fine, phase)
        values = np.column_stack([np.cos(at), np.sin(at), np.cos(2 * at)])[:, :n_outputs]
        return Simulated(spikes, t_start + times, values[:, 0] if n_outputs == 1 else values)

    return simulated


@pytest.fixture(scope="session")
def small_decoder(request: pytest.FixtureRequest) -> Callable[..., POYODecoder]:
    """Function that makes a decoder small enough to fit in a fraction of a second."""
    from spikeinterface_poyo import POYODecoder

    small = {"dim": 16, "depth": 1, "dim_head": 8, "cross_heads": 1, "self_heads": 2, "num_latents_per_step": 2}
    short = {"n_latent_steps": 4, "window_length": 1.0, "batch_size": 8, "max_iter": 1, "random_state": 0}
    where = {"device": request.config.getoption("--device")}
    return lambda **parameters: POYODecoder(**{**small, **short, **where, **parameters})


LENGTHS = {
    "spikeinterface_poyo.training.defaults": ["STEPS_AN_ITERATION"],
    "spikeinterface_poyo.training.fitting": ["STEPS_AN_ITERATION", "LEADING_STEPS"],
    "spikeinterface_poyo.training.identification": ["IDENTIFICATION_STEPS"],
}


@pytest.fixture(scope="module")
def brief_training() -> Iterator[dict[str, int]]:
    """Ten steps an iteration and a stage, for modules that ask how training works rather than what it reaches.

    For a whole module, by ``pytestmark``, as it lasts to the module's end. Gives what they are otherwise. Processes
    that a test starts do not know of it.
    """
    lengths = {f"{module}.{name}": getattr(import_module(module), name) for module, names in LENGTHS.items()
               for name in names}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in lengths:
            patch.setattr(name, 10)
        yield lengths


@pytest.fixture
def full_training(brief_training, monkeypatch) -> None:
    """Training as it is, for the one test of such a module that asks what it reaches, or what it must never see."""
    for name, length in brief_training.items():
        monkeypatch.setattr(name, length)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread in this process: sums over several are rounded otherwise."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def short_stages(monkeypatch) -> None:
    """One iteration of unit identification, and one of the start with one of several sessions."""
    monkeypatch.setattr("spikeinterface_poyo.training.identification.IDENTIFICATION_STEPS", 1)
    monkeypatch.setattr("spikeinterface_poyo.training.fitting.LEADING_STEPS", 1)


@pytest.fixture(scope="session")
def tiny_decoder(mouse, small_decoder) -> POYODecoder:
    """A decoder of the packaged recording, hardly trained: for what must hold whatever the weights are."""
    X, y = align(*mouse)
    early = X.times < 760
    return small_decoder(early_stopping=False).fit(X[early], y[early])


@pytest.fixture
def folder(fitted, tmp_path) -> Path:
    """Where the decoder of the asking module's ``fitted`` is saved."""
    fitted.save_pretrained(tmp_path / "decoder")
    return tmp_path / "decoder"


@pytest.fixture(autouse=True)
def no_recent_interrupt(monkeypatch):
    """Tests that press Ctrl-C follow each other faster than a person's second press."""
    monkeypatch.setattr("spikeinterface_poyo.training.loop._last_interrupt", -math.inf)
