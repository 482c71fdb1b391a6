"""Tokens of a window are what a slow, obvious loop says they are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_poyo.network.windows import END, N_TOKEN_TYPES, SPIKE, START, Block, Tokens, Windows, tokenize
from spikeinterface_poyo.sessions.session import Segment

LENGTH = 1.0
TICK = 0.25  # spikes and windows lie on one grid, so that spikes often fall on a window's edge


def make_block(times, units, unit_rows, weights=None) -> Block:
    times, units = np.asarray(times, dtype=np.float64), np.asarray(units, dtype=np.int32)
    order = np.lexsort((units, times))
    weights = None if weights is None else np.asarray(weights, dtype=np.float32)[order]
    extent = (times.min(), times.max()) if len(times) else (0.0, 0.0)
    segment = Segment(times[order], units[order], *extent, weights)
    return Block(segment, np.asarray(unit_rows, dtype=np.int64), 1, np.arange(1))


def make_windows(block, start, visible_from=None, visible_to=None) -> Windows:
    start = np.asarray(start, dtype=np.float64)
    visible_from = np.full(len(start), -np.inf) if visible_from is None else np.asarray(visible_from, dtype=np.float64)
    visible_to = np.full(len(start), np.inf) if visible_to is None else np.asarray(visible_to, dtype=np.float64)
    return Windows(np.asarray(block), start, visible_from, visible_to)


def loop(blocks: list[Block], windows: Windows, i: int) -> Counter:
    """(row of the unit, type, time, log weight) of each token of window ``i``, one by one."""
    block = blocks[windows.block[i]]
    tokens: Counter = Counter()
    for row in block.unit_rows.tolist():
        tokens[row, START, 0.0, 0.0] += 1
        tokens[row, END, LENGTH, 0.0] += 1
    for k, (time, unit) in enumerate(zip(block.segment.spike_times, block.segment.unit_index, strict=True)):
        row = int(block.unit_rows[unit])
        inside = windows.start[i] <= time < windows.start[i] + LENGTH
        visible = windows.visible_from[i] <= time < windows.visible_to[i]
        if inside and visible:
            weight = 1.0 if block.segment.weights is None else block.segment.weights[k]
            tokens[row, SPIKE, float(np.float32(time - windows.start[i])), float(np.log(np.float32(weight)))] += 1
    return tokens


def read(tokens: Tokens, i: int) -> Counter:
    """What ``tokens`` hold of window ``i``, in the loop's words."""
    real = tokens.token_log_weight[i] > -np.inf
    rows = tokens.unit_rows[tokens.token[i, real] // N_TOKEN_TYPES]
    kinds = tokens.token[i, real] % N_TOKEN_TYPES
    columns = (rows, kinds, tokens.token_time[i, real], tokens.token_log_weight[i, real])
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


@st.composite
def blocks_and_windows(draw):
    blocks, n_rows = [], 1
    for _ in range(draw(st.integers(1, 3))):
        n_units = draw(st.integers(1, 4))
        rows = draw(st.permutations(range(n_rows, n_rows + n_units)))
        n_rows += n_units
        ticks = draw(st.lists(st.integers(-8, 16), max_size=12))
        units = draw(st.lists(st.integers(0, n_units - 1), min_size=len(ticks), max_size=len(ticks)))
        weights = draw(st.none() | st.lists(st.sampled_from([0.5, 1, 3]), min_size=len(ticks), max_size=len(ticks)))
        blocks.append(make_block(np.array(ticks) * TICK, units, rows, weights))
    which = draw(st.lists(st.integers(0, len(blocks) - 1), min_size=1, max_size=5))
    n = len(which)
    ticks = st.lists(st.integers(-12, 18), min_size=n, max_size=n)
    visible_from, visible_to = np.array(draw(ticks)) * TICK, np.array(draw(ticks)) * TICK
    start = np.array(draw(ticks)) * TICK
    return blocks, make_windows(which, start, visible_from, visible_to)


@given(blocks_and_windows())
@settings(max_examples=200, deadline=None)
def test_tokens_are_those_of_a_loop(case):
    blocks, windows = case
    tokens = tokenize(blocks, windows, LENGTH)
    expected = [loop(blocks, windows, i) for i in range(len(windows.start))]
    assert [read(tokens, i) for i in range(len(windows.start))] == expected
    assert tokens.token.shape[1] == max(sum(counter.values()) for counter in expected)  # no more padding than needed


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_late_in_a_recording_times_keep_their_precision(offset):
    times = offset + np.array([0.1234567, 0.5, 0.9999])
    block = make_block(times, [0, 0, 0], [1])
    tokens = tokenize([block], make_windows([0], [offset]), LENGTH)
    np.testing.assert_allclose(tokens.token_time[0, 2:], [0.1234567, 0.5, 0.9999], rtol=0, atol=6e-8 + 1e-16 * offset)


def test_markers_stand_at_the_ends_for_silent_units_too():
    block = make_block([0.5], [0], [1, 2, 3])
    tokens = tokenize([block], make_windows([0], [0.0]), LENGTH)
    markers = {(row, kind, time) for row, kind, time, _ in read(tokens, 0) if kind != SPIKE}
    assert markers == {(row, kind, time) for row in (1, 2, 3) for kind, time in ((START, 0.0), (END, LENGTH))}


@pytest.mark.parametrize("start", [-5.0, 50.0])
def test_a_window_beyond_the_recording_holds_markers_only(start):
    block = make_block(np.arange(0, 10, 0.1), np.zeros(100), [1, 2])
    tokens = tokenize([block], make_windows([0], [start]), LENGTH)
    assert {kind for _, kind, _, _ in read(tokens, 0)} == {START, END}


def test_sessions_share_a_batch_without_sharing_units():
    one = make_block([0.1, 0.2], [0, 1], [1, 2])
    other = make_block([0.3], [0], [3])
    tokens = tokenize([one, other], make_windows([1, 0], [0.0, 0.0]), LENGTH)
    np.testing.assert_array_equal(tokens.unit_rows, [1, 2, 3])
    assert [{row for row, *_ in read(tokens, i)} for i in range(2)] == [{3}, {1, 2}]


def test_unit_rows_are_those_of_the_blocks_in_use():
    blocks = [make_block([0.1], [0], [row]) for row in (5, 9, 2)]
    np.testing.assert_array_equal(tokenize(blocks, make_windows([2, 0], [0.0, 0.0]), LENGTH).unit_rows, [2, 5])


def test_a_dropped_unit_has_neither_spikes_nor_markers():
    n_units, n_windows = 30, 200
    times = np.tile(np.arange(5) * 0.2, n_units)
    block = make_block(times, np.arange(n_units).repeat(5), 1 + np.arange(n_units))
    windows = make_windows(np.zeros(n_windows, dtype=int), np.zeros(n_windows))
    tokens = tokenize([block], windows, LENGTH, unit_dropout=0.5, rng=np.random.default_rng(0))
    whole = loop([block], windows, 0)
    kept = []
    for i in range(n_windows):
        found = read(tokens, i)
        rows = {row for row, *_ in found}
        assert found == Counter({token: n for token, n in whole.items() if token[0] in rows})
        kept.append(len(rows) / n_units)
    assert np.mean(kept) == pytest.approx(0.75, abs=0.03)  # rates are uniform below 0.5
    assert np.min(kept) < 0.55
    assert np.max(kept) == 1


def test_unit_dropout_follows_its_generator():
    block = make_block(np.arange(40) * 0.02, np.arange(40) % 8, 1 + np.arange(8))
    windows = make_windows([0] * 6, np.zeros(6))
    first, again, other = (
        tokenize([block], windows, LENGTH, unit_dropout=0.5, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.token, again.token)
    assert first.token.shape != other.token.shape or not np.array_equal(first.token, other.token)


def test_without_dropout_no_random_number_is_drawn():
    block, rng = make_block([0.5], [0], [1]), np.random.default_rng(0)
    tokenize([block], make_windows([0], [0.0]), LENGTH, unit_dropout=0.0, rng=rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_types_are_what_the_network_takes():
    weighted = make_block([0.5], [0], [1], [2.0])
    tokens = tokenize([weighted, make_block([0.5], [0], [2])], make_windows([0, 1], [0.0, 0.0]), LENGTH)
    dtypes = (tokens.unit_rows.dtype, tokens.token.dtype, tokens.token_time.dtype, tokens.token_log_weight.dtype)
    assert dtypes == (np.int64, np.int64, np.float32, np.float32)
