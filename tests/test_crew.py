"""Threads that take a part each: quicker, and of no consequence for the numbers."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from spikeinterface_poyo.network.crew import crew, side_by_side

CPU = torch.device("cpu")
PARTS = torch.arange(12).split(3)


@pytest.fixture
def n_threads(one_thread):
    """Set torch's number of threads, which is restored after the test."""
    return torch.set_num_threads


@pytest.mark.parametrize("several", [2, 3, 7])
def test_a_fit_does_not_depend_on_the_number_of_threads(simulate, small_decoder, n_threads, several):
    session = simulate()
    fitted = []
    for number in (1, several):
        n_threads(number)
        decoder = small_decoder(random_state=0).fit(session.spikes, session.behavior)
        assert torch.get_num_threads() == number
        fitted.append(decoder)
    for one, other in zip(*(decoder.network_.state_dict().values() for decoder in fitted), strict=True):
        assert torch.equal(one, other)
    n_threads(1)
    np.testing.assert_array_equal(*(decoder.predict(session.spikes) for decoder in fitted))


@pytest.mark.usefixtures("short_stages")
def test_neither_does_an_adaptation(simulate, small_decoder, n_threads, tmp_path):
    session, other = simulate(), simulate(1, duration=30.0)
    small_decoder().fit(session.spikes, session.behavior).save_pretrained(tmp_path)
    weights = []
    for number in (1, 2):
        n_threads(number)
        decoder = small_decoder(pretrained=tmp_path).fit(other.spikes, other.behavior)
        weights.append(torch.cat([value.flatten() for value in decoder.network_.state_dict().values()]))
    assert torch.equal(*weights)


def test_parts_are_worked_on_at_the_same_time_and_come_in_order(n_threads):
    n_threads(2)
    both_there = threading.Barrier(2, timeout=10)

    def work(rows):
        both_there.wait()
        return rows.sum().item(), torch.get_num_threads()

    with crew(CPU):
        found = list(side_by_side(work, PARTS))
    assert found == [(int(rows.sum()), 1) for rows in PARTS]


def test_an_error_in_a_part_is_the_callers(n_threads):
    n_threads(2)

    def work(rows):
        raise MemoryError(f"{len(rows)} windows")

    with pytest.raises(MemoryError, match="3 windows"), crew(CPU):
        list(side_by_side(work, PARTS))
    assert torch.get_num_threads() == 2
    assert list(side_by_side(len, PARTS)) == [3, 3, 3, 3]


@pytest.mark.parametrize("within", [False, True], ids=["one thread", "within another"])
def test_no_threads_are_added(n_threads, within):
    n_threads(2 if within else 1)
    mine = []

    def work(rows):
        mine.append(threading.get_ident())

    with crew(CPU):
        before = threading.active_count()
        with crew(CPU):
            list(side_by_side(work, PARTS))
    assert len(set(mine)) <= (2 if within else 1)
    assert within or set(mine) == {threading.get_ident()}
    assert threading.active_count() <= before


def test_a_single_part_is_worked_on_by_one_thread(n_threads):
    n_threads(2)
    with crew(CPU, alone=True):
        ((number, thread),) = side_by_side(lambda rows: (torch.get_num_threads(), threading.get_ident()), PARTS[:1])
    assert (number, thread) == (1, threading.get_ident())
    assert torch.get_num_threads() == 2


def test_the_precision_is_the_callers(n_threads):
    n_threads(2)
    matrix = torch.ones(4, 4)
    with crew(CPU):
        with torch.autocast("cpu", torch.bfloat16):
            half = [product.dtype for product in side_by_side(lambda rows: matrix @ matrix, PARTS)]
        full = [product.dtype for product in side_by_side(lambda rows: matrix @ matrix, PARTS)]
    assert set(half) == {torch.bfloat16}
    assert set(full) == {torch.float32}
