"""Batches drawn ahead."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from spikeinterface_poyo.training.loader import Loader

AHEAD = pytest.mark.parametrize("ahead", [False, True])


def draw(rng: np.random.Generator) -> float:
    return float(rng.random())


@AHEAD
def test_batches_are_those_of_the_generator_and_none_is_drawn_in_vain(ahead):
    rng, reference = (np.random.default_rng(0) for _ in range(2))
    with Loader(draw, rng, 3, ahead) as loader:
        for _ in range(3):
            assert loader.next() == reference.random()
            assert loader.state == reference.bit_generator.state
    assert rng.random() == reference.random()


@AHEAD
def test_a_generator_left_early_is_where_it_was_asked_to(ahead):
    rng, reference = (np.random.default_rng(0) for _ in range(2))
    with Loader(draw, rng, 10, ahead) as loader:
        assert loader.next() == reference.random()
        if ahead:
            loader.begun.result()
    assert rng.random() == reference.random()


def test_the_next_batch_is_begun_before_it_is_asked_for():
    begun = threading.Semaphore(0)

    def slow(rng: np.random.Generator) -> None:
        begun.release()

    with Loader(slow, np.random.default_rng(0), 2, ahead=True) as loader:
        loader.next()
        assert begun.acquire(timeout=10)
        assert begun.acquire(timeout=10)


@AHEAD
def test_an_error_in_drawing_reaches_who_asks(ahead):
    def broken(rng: np.random.Generator) -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), Loader(broken, np.random.default_rng(0), 2, ahead) as loader:
        loader.next()


@AHEAD
def test_nothing_is_drawn_where_nothing_is_left(ahead):
    rng = np.random.default_rng(0)
    with Loader(draw, rng, 0, ahead):
        pass
    assert rng.random() == np.random.default_rng(0).random()
