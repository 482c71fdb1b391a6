"""What runs on a GPU gives a decoder as good as the CPU's, and one that a machine without a GPU can load.

What other modules test of small decoders is tested there with ``pytest --device cuda``, as in test_checkpoints.py,
test_training.py and test_uncertainty.py; a test that compares bits with a decoder loaded on the CPU fails then.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from spikeinterface_poyo import POYODecoder, align

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture(scope="module")
def split(simulate):
    session = simulate(duration=120.0, n_outputs=2)
    X, y = align(session.spikes, session.behavior)
    return (X[:900], y[:900]), (X[900:], y[900:])


@pytest.fixture(scope="module")
def on_gpu(split, small_decoder):
    return small_decoder(max_iter=8, learning_rate_init=5e-3, device="cuda").fit(*split[0])


def test_scores_are_near_the_cpus(split, small_decoder, on_gpu):
    assert next(on_gpu.network_.parameters()).is_cuda
    on_cpu = small_decoder(max_iter=8, learning_rate_init=5e-3, device="cpu").fit(*split[0])
    assert on_gpu.score(*split[1]) > on_cpu.score(*split[1]) - 0.05


def test_predictions_on_the_gpu_are_those_on_the_cpu(split, on_gpu, tmp_path):
    on_gpu.save_pretrained(tmp_path)
    on_cpu = POYODecoder.from_pretrained(tmp_path, device="cpu")
    np.testing.assert_allclose(on_gpu.predict(split[1][0]), on_cpu.predict(split[1][0]), atol=1e-3)


def test_equal_random_states_give_equal_bits(split, small_decoder):
    one, other = (small_decoder(device="cuda").fit(*split[0]).predict(split[1][0]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_equal_random_states_give_equal_bits_at_full_size(mouse):
    X, y = align(*mouse)
    one, other = (
        POYODecoder(device="cuda", max_iter=1, random_state=0).fit(X[:2000], y[:2000]).predict(X[2000:3000])
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def test_torch_is_as_deterministic_afterwards_as_before(split, small_decoder):
    small_decoder(device="cuda").fit(*split[0])
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_parts_that_fit_the_memory_change_nothing_but_rounding(split, on_gpu, monkeypatch):
    expected = on_gpu.predict(split[1][0])
    monkeypatch.setattr("spikeinterface_poyo.network.parts.GPU_SHARE", 0.0)  # a window at a time
    np.testing.assert_allclose(on_gpu.predict(split[1][0]), expected, atol=1e-4)


def test_the_global_cuda_generator_is_left_alone(split, small_decoder):
    before = torch.cuda.get_rng_state()
    small_decoder(device="cuda").fit(*split[0])
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_auto_is_cuda(split, small_decoder):
    assert next(small_decoder(device="auto").fit(*split[0]).network_.parameters()).is_cuda


def test_pickles_load_without_a_gpu(split, on_gpu, tmp_path):
    (tmp_path / "decoder.pkl").write_bytes(pickle.dumps(on_gpu.set_params(device="auto")))
    (tmp_path / "samples.pkl").write_bytes(pickle.dumps(split[1][0]))
    code = (
        "import pickle, sys, numpy as np, torch; assert not torch.cuda.is_available(); "
        "decoder, X = (pickle.load(open(name, 'rb')) for name in sys.argv[1:3]); "
        "np.save(sys.argv[3], decoder.predict(X))"
    )
    names = [str(tmp_path / name) for name in ("decoder.pkl", "samples.pkl", "out.npy")]
    subprocess.run([sys.executable, "-c", code, *names], check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    np.testing.assert_allclose(np.load(names[2]), on_gpu.predict(split[1][0]), atol=1e-3)
