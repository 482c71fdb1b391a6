from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from spikeinterface_poyo.network import device as module
from spikeinterface_poyo.network.device import find_device, put, rotates
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig
from spikeinterface_poyo.training.reproducible import deterministic, generator


def test_auto_takes_what_is_there():
    device = find_device("auto")
    assert device.type == "cuda" if torch.cuda.is_available() else device.type in ("mps", "cpu")


def test_rotary_time_runs_on_the_cpu():
    assert rotates(torch.device("cpu"))


@pytest.mark.parametrize("device", ["cuda:99", "gpu", None])
def test_a_device_that_is_not_there_is_an_error_that_names_the_choices(device):
    with pytest.raises(ValueError, match="Expected 'auto', 'cpu', 'cuda' or 'mps'"):
        find_device(device)


def test_a_network_is_moved_only_where_it_is_elsewhere(monkeypatch):
    network = POYO(NetworkConfig(n_outputs=1, dim=8, depth=1, dim_head=8), n_units=2, n_sessions=2)
    monkeypatch.setattr(network, "to", lambda device: f"moved to {device}")
    assert put(network, "cpu") is network
    monkeypatch.setattr(module, "find_device", lambda name: torch.device("meta"))
    assert put(network, "a device of that name") == "moved to meta"


def test_a_seed_gives_the_same_numbers_and_none_gives_others():
    assert generator(3).integers(2**40) == generator(3).integers(2**40)
    assert generator(None).integers(2**40) != generator(None).integers(2**40)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    generator(None)
    generator(0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("mode", ["default", "warn", "error"])
def test_torch_is_deterministic_for_cuda_and_then_as_before(monkeypatch, mode):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # the user's, which stays
    modes = {"default": 0, "warn": 1, "error": 2}
    torch.set_deterministic_debug_mode(mode)
    try:
        with deterministic(torch.device("cpu")):
            assert torch.get_deterministic_debug_mode() == modes[mode]
        with deterministic(torch.device("cuda")):
            assert torch.get_deterministic_debug_mode() == modes["error"]
        assert torch.get_deterministic_debug_mode() == modes[mode]
    finally:
        torch.set_deterministic_debug_mode("default")
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_devices_that_decoders_do_not_run_on_are_refused():
    with pytest.raises(ValueError, match=r"'meta' is not among those .* Expected 'auto', 'cpu'"):
        find_device("meta")
