"""What units are worth: the drop in held-out skill when a unit is silenced, or its spikes come at wrong times.

Silencing leaves out a unit's spikes and markers, as if it had not been sorted. Shifting moves its spikes circularly
within the held-out part: rate and temporal structure stay, what they tell of the behaviour goes. A unit that tells
nothing decodes equally well before and after a shift, which makes the sign of the difference in each block of time a
fair coin: that is what its p value tests. The p value of silencing tells whether the decoder does worse without the
unit, which it may also where it has merely got used to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from ..decoder.base import BasePOYO
from ..sessions.samples import SpikeSamples
from .held_out_windows import Shift, place_windows

N_FLIPS = 10_000  # random sign flips, of which the observed signs are one more
BLOCKS_AT_ONCE = 500
N_SHIFTS = 199  # of the full null: the smallest p value is 0.005

FIELDS = ("silenced", "silenced_p", "silenced_p_adjusted", "shifted", "shifted_p", "shifted_p_adjusted")
IMPORTANCE_DTYPE = np.dtype([(name, "f8") for name in FIELDS])


@dataclass(frozen=True, eq=False)
class UnitImportance:
    """Importance of units for decoding.

    Parameters
    ----------
    table : structured ndarray, shape (n_units,)
        ``silenced`` and ``shifted``: drop in skill on the subsample, positive where the unit helps, after one random
        shift, or the mean over many (``exact``); ``..._p``: one-sided p values; ``..._p_adjusted``: the same, adjusted
        for the number of units by Benjamini and Hochberg (false discovery rate). Skill is R2, uniform average over
        outputs; of angles, over cosines and sines; of labels Brier's skill score: one less the squared error of their
        probabilities over that of always giving their shares.
    skill : float
        Skill on the subsample with all units as they are.
    n_windows, n_samples, n_blocks : int
        Size of the subsample: context windows, samples asked for in them, blocks of time whose signs are flipped.
    """

    table: np.ndarray
    skill: float
    n_windows: int
    n_samples: int
    n_blocks: int


def unit_importance(
    decoders: Sequence[BasePOYO],
    X: SpikeSamples,
    y: np.ndarray,
    fold: np.ndarray,
    *,
    n_windows: int = 100,
    exact: bool = False,
    random_state: int = 0,
    after_unit: Callable[[], object] | None = None,
) -> UnitImportance:
    """Importance of all units of one session, by decoders that have not seen the samples.

    Parameters
    ----------
    decoders : sequence of POYODecoder or POYOClassifier
        The decoder of each fold, fitted on the other folds, as `cross_decode` leaves them.
    X : SpikeSamples, shape (n_samples,)
        Samples of one session.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Targets, labels as codes; NaN is unknown.
    fold : ndarray of int, shape (n_samples,)
        Fold that tests on each sample.
    n_windows : int, default: 100
        Context windows to decode at most, spread evenly over the held-out time. All units are tested on the same.
    exact : bool, default: False
        Take the drops and p values of shifts from 199 shifts of each unit, which is slow. Else there is one, and
        another ``random_state`` gives others.
    random_state : int, default: 0
        Seed of shifts and sign flips.
    after_unit : callable, optional
        Called after each unit.

    Returns
    -------
    UnitImportance
        Units that did not fire at fit are worth nothing, with p = 1.

    Raises
    ------
    ValueError
        Where the samples are of several sessions, or no context window fits into a held-out part.
    """
    sessions = X.used_sessions()
    if len(sessions) != 1:
        raise ValueError(f"the importance of units is measured in one session; got {len(sessions)}")
    (session,) = sessions
    rng = np.random.default_rng(random_state)
    parts = place_windows(decoders, X, y.reshape(len(y), -1), fold, n_windows)
    pairs = [(number, block) for number, part in enumerate(parts) for block in part.time_block]
    blocks = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    points = np.concatenate([part.target.reshape(-1, part.target.shape[-1]) for part in parts])
    cost = parts[0].readout.cost(points)
    intact = [part.squared_errors() for part in parts]

    def drops(errors: list[np.ndarray]) -> np.ndarray:
        """Drop in skill of each block; their sum is the drop of the subsample."""
        more = np.concatenate([e - i for e, i in zip(errors, intact, strict=True)])  # (n_windows, n_dimensions)
        return np.bincount(blocks, more @ cost)

    n_shifts = N_SHIFTS if exact else 1
    silenced = np.zeros((len(session.unit_ids), blocks.max() + 1))
    shifted = np.zeros((len(session.unit_ids), n_shifts, blocks.max() + 1))
    for i, name in enumerate(session.unit_names):
        shifts = rng.random((n_shifts, len(parts)))
        if any(part.has(name) for part in parts):
            silenced[i] = drops([part.squared_errors(name) for part in parts])
            for s, places in enumerate(shifts):
                moved = [Shift(name, float(place)) for place in places]
                shifted[i, s] = drops([part.squared_errors(move) for part, move in zip(parts, moved, strict=True)])
        if after_unit is not None:
            after_unit()
    table = np.zeros(len(session.unit_ids), dtype=IMPORTANCE_DTYPE)
    table["silenced"], table["shifted"] = silenced.sum(axis=-1), shifted.sum(axis=-1).mean(axis=-1)
    table["silenced_p"] = sign_flip_p(silenced, rng)
    table["shifted_p"] = shift_p(shifted.sum(axis=-1)) if exact else sign_flip_p(shifted[:, 0], rng)
    for kind in ("silenced", "shifted"):
        table[f"{kind}_p_adjusted"] = false_discovery_control(table[f"{kind}_p"])
    skill = 1 - float(np.concatenate(intact).sum(axis=0) @ cost)
    n_samples = sum(int((~np.isnan(part.target)).any(axis=-1).sum()) for part in parts)
    return UnitImportance(table, skill, len(blocks), n_samples, int(blocks.max()) + 1)


def sign_flip_p(difference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One-sided p values of sums of ``difference`` (n_tests, n_blocks) when the sign of each block is a coin."""
    observed = difference.sum(axis=1)
    flipped = np.zeros((len(difference), N_FLIPS))
    for first in range(0, difference.shape[1], BLOCKS_AT_ONCE):  # signs of all blocks of a long recording are large
        some = difference[:, first : first + BLOCKS_AT_ONCE]
        flipped += some @ rng.choice([-1.0, 1.0], (some.shape[1], N_FLIPS))
    # An observed sum that is a rounding error above its equals must not count as more than they are.
    slack = 1e-12 * np.abs(difference).sum(axis=1)
    as_large = (flipped >= (observed - slack)[:, None]).sum(axis=1)
    return (1 + as_large) / (1 + N_FLIPS)


def shift_p(drop: np.ndarray) -> np.ndarray:
    """One-sided p values of drops (n_units, n_shifts): how often a shifted unit decodes as well as the intact one."""
    return (1 + (drop <= 0).sum(axis=1)) / (1 + drop.shape[1])
