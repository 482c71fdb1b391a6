"""Baselines, each tuned by blocked validation inside the training part: ridge (Wiener filter), MLP and GRU.

A fourth, the Bayesian decoder, has a file of its own.

All read spike counts in bins, smoothed or not, before and after the sample: what a non-causal decoder may read too.
Features may use spikes of any time; labels outside the training mask are never read. Every baseline predicts on its own
grid of bins and is interpolated to the recording's sample times, so that all scores are of the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from bayesian import bayes
from recordings import Recording
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import r2_score
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tuning import FOLDS, Config, Search, allowed, at_bins, bin_counts, coordinate_search

Builder = Callable[..., torch.nn.Module]  # (n_inputs, n_outputs, config)

# Seconds before and after the sample that the lags cover: causal and centred.
SPANS = [(0.5, 0.0), (1.5, 0.0), (3.0, 0.0), (0.0, 0.0), (0.25, 0.25), (0.5, 0.5), (1.0, 1.0), (2.0, 2.0)]
RIDGE_SEARCH: Search = {
    "span": ((0.5, 0.5), SPANS),
    "sigma": (0.0, [0.0, 0.05, 0.1, 0.25, 0.5, 1.0]),
    "bin_size": (0.05, [0.02, 0.05, 0.1, 0.2]),
    "root": (False, [False, True]),
}
MLP_SEARCH: Search = {
    "sigma": (0.25, [0.05, 0.1, 0.25, 0.5, 1.0]),
    "span": ((0.5, 0.5), [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 2.0)]),
    "hidden": ((256, 256), [(256,), (256, 256), (512, 512)]),
    "dropout": (0.3, [0.1, 0.3, 0.5]),
    "learning_rate": (1e-3, [3e-4, 1e-3]),
    "root": (False, [False, True]),
    "bin_size": (0.05, [0.05, 0.1]),
}
GRU_SEARCH: Search = {
    "span": ((0.0, 0.0), []),
    "sigma": (0.1, [0.0, 0.1, 0.25, 0.5]),
    "window": (4.0, [2.0, 4.0, 8.0]),
    "bidirectional": (True, [True, False]),
    "dropout": (0.3, [0.1, 0.3, 0.5]),
    "learning_rate": (3e-3, [1e-3, 3e-3]),
    "hidden": ((128,), [(64,), (128,), (256,)]),
    "root": (False, [False, True]),
    "bin_size": (0.05, [0.02, 0.05, 0.1]),
}
PENALTIES = 10.0 ** np.arange(-4, 1.1, 0.75)  # times the number of training bins; the features have unit variance
MAX_FEATURES = 3000  # of the ridge: its cost grows with the cube
MAX_EPOCHS, PATIENCE = 100, 6


@dataclass(frozen=True)
class Grid:
    """Standardised rates on a regular grid of bins, and the targets where they may be read (elsewhere NaN)."""

    centres: np.ndarray  # (n_bins,), seconds
    rates: np.ndarray  # (n_bins, n_units), float32
    targets: np.ndarray  # (n_bins, n_outputs), mean 0 and SD 1
    mean: np.ndarray
    scale: np.ndarray

    def rows(self, times: np.ndarray) -> np.ndarray:
        """Indices of the bins that surround sorted ``times``."""
        first, last = np.searchsorted(self.centres, [times[0], times[-1]])
        return np.arange(max(first - 1, 0), min(last + 1, len(self.centres)))

    def known(self) -> np.ndarray:
        """Indices of the bins whose target may be read."""
        return np.flatnonzero(np.isfinite(self.targets).all(axis=1))

    def at(self, times: np.ndarray, rows: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Bring predictions of ``rows`` to ``times`` and to the target's own units."""
        columns = [np.interp(times, self.centres[rows], column) for column in prediction.T]
        return np.column_stack(columns) * self.scale + self.mean


def make_grid(recording: Recording, fit: np.ndarray, config: Config) -> Grid:
    """Rates and targets on the grid of ``config``; only labels of samples in the mask ``fit`` are read."""
    bin_size = config["bin_size"]
    counts, centres = bin_counts(recording, bin_size)
    rates = counts.astype(np.float64)
    if config["sigma"] > 0:
        rates = gaussian_filter1d(rates, config["sigma"] / bin_size, axis=0)
    if config["root"]:
        rates = np.sqrt(rates)
    rates = (rates - rates.mean(axis=0)) / np.maximum(rates.std(axis=0), 1e-9)
    mean, scale = recording.values[fit].mean(axis=0), recording.values[fit].std(axis=0)
    targets = at_bins(centres, recording.times, (recording.values - mean) / scale, fit)
    return Grid(centres, rates.astype(np.float32), targets, mean, scale)


def lag_offsets(config: Config) -> np.ndarray:
    """Lags in bins, one bin or one smoothing width apart: closer ones would repeat each other."""
    step = max(1, round(config["sigma"] / config["bin_size"]))
    before, after = (int(np.ceil(span / config["bin_size"] / step - 1e-9)) for span in config["span"])
    return np.arange(-before, after + 1) * step


def lagged(rates: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Rates around each row, shape (*rows.shape, n_lags * n_units)."""
    around = rates[np.clip(rows[..., None] + offsets, 0, len(rates) - 1)]
    return around.reshape(*rows.shape, -1)


def ridge_moments(grid: Grid, rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second moments of the lagged rates (with a constant) and with the targets, summed over ``rows``."""
    size = len(offsets) * grid.rates.shape[1] + 1
    gram, cross = np.zeros((size, size)), np.zeros((size, grid.targets.shape[1]))
    for chunk in np.array_split(rows, max(1, len(rows) // 4096)):
        features = with_constant(lagged(grid.rates, chunk, offsets))
        gram += features.T @ features
        cross += features.T @ grid.targets[chunk]
    return gram, cross


def with_constant(features: np.ndarray) -> np.ndarray:
    """The features as float64 with a column of ones."""
    return np.column_stack([features.astype(np.float64), np.ones(len(features))])


def ridge_solve(gram: np.ndarray, cross: np.ndarray, penalty: float) -> np.ndarray:
    """Ridge weights; the last diagonal entry is the number of rows, and the constant isn't penalised."""
    system = gram.copy()
    diagonal = np.arange(len(gram) - 1)
    system[diagonal, diagonal] += penalty * gram[-1, -1]
    return cho_solve(cho_factor(system, overwrite_a=True, check_finite=False), cross, check_finite=False)


def ridge_of_few(grid: Grid, rows: np.ndarray, offsets: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
    """What `ridge_solve` gives for each penalty, by inner products of rows: quick where rows are few."""
    features, targets = lagged(grid.rates, rows, offsets).astype(np.float64), grid.targets[rows]
    centre, level = features.mean(axis=0), targets.mean(axis=0)
    features -= centre
    values, vectors = eigh(features @ features.T, check_finite=False)
    turned = vectors.T @ (targets - level)
    solved = []
    for penalty in penalties:
        weights = features.T @ (vectors @ (turned / (np.maximum(values, 0) + penalty * len(rows))[:, None]))
        solved.append(np.vstack([weights, level - centre @ weights]))
    return solved


def ridge_validate(recording: Recording, train: np.ndarray, config: Config) -> tuple[float, Config]:
    """Best mean R2 over contiguous folds of the training part, for all penalties from one pass over the data."""
    offsets = lag_offsets(config)
    n_units = len(recording.spikes) if recording.counts is None else recording.counts[0].shape[1]
    if not allowed(recording, config) or len(offsets) * n_units > MAX_FEATURES:
        return -np.inf, {}
    grid = make_grid(recording, train, config)
    parts = np.array_split(grid.known(), FOLDS)
    few = len(grid.known()) < len(offsets) * n_units
    moments = [] if few else [ridge_moments(grid, rows, offsets) for rows in parts]
    gram, cross = (0, 0) if few else (sum(each) for each in zip(*moments, strict=True))
    scores = np.zeros((FOLDS, len(PENALTIES)))
    for fold, samples in enumerate(np.array_split(np.flatnonzero(train), FOLDS)):
        times = recording.times[samples]
        rows = grid.rows(times)
        features = with_constant(lagged(grid.rates, rows, offsets))
        if few:
            solved = ridge_of_few(grid, np.concatenate(parts[:fold] + parts[fold + 1 :]), offsets, PENALTIES)
        else:
            left = gram - moments[fold][0], cross - moments[fold][1]
            solved = [ridge_solve(*left, penalty) for penalty in PENALTIES]
        for index, weights in enumerate(solved):
            scores[fold, index] = r2_score(recording.values[samples], grid.at(times, rows, features @ weights))
    mean = scores.mean(axis=0)
    return float(mean.max()), {"penalty": float(PENALTIES[mean.argmax()])}


def ridge(
    recording: Recording, train: np.ndarray, test: np.ndarray, seed: int = 0, config: Config | None = None
) -> tuple[np.ndarray, Config]:
    """Wiener filter: ridge regression on binned counts with lags before and after the sample.

    Parameters
    ----------
    recording : Recording
    train, test : ndarray of bool, shape (n_samples,)
        Samples whose labels may be read, and samples to predict.
    seed : int
        Not used: the fit is deterministic.
    config : dict, optional
        Settings that were chosen on another fold; of these only the penalty is chosen again.

    Returns
    -------
    prediction : ndarray, shape (n_test, n_outputs)
    chosen : dict
        The settings that validation inside the training part chose, its R2 and its duration.
    """
    if config is None:
        config = coordinate_search(RIDGE_SEARCH, lambda config: ridge_validate(recording, train, config), passes=2)
    else:
        config = {**config, **ridge_validate(recording, train, config)[1]}
    return ridge_predict(recording, train, test, config), config


def ridge_predict(recording: Recording, train: np.ndarray, test: np.ndarray, config: Config) -> np.ndarray:
    """Fit the ridge with chosen settings, and predict at the test samples."""
    grid, offsets = make_grid(recording, train, config), lag_offsets(config)
    if len(grid.known()) < len(offsets) * grid.rates.shape[1]:
        (weights,) = ridge_of_few(grid, grid.known(), offsets, [config["penalty"]])
    else:
        weights = ridge_solve(*ridge_moments(grid, grid.known(), offsets), config["penalty"])
    rows = grid.rows(recording.times[test])
    return grid.at(recording.times[test], rows, with_constant(lagged(grid.rates, rows, offsets)) @ weights)


def build_mlp(n_inputs: int, n_outputs: int, config: Config) -> torch.nn.Module:
    """Build layers of ReLU units with dropout."""
    layers: list[torch.nn.Module] = []
    for size in config["hidden"]:
        layers += [torch.nn.Linear(n_inputs, size), torch.nn.ReLU(), torch.nn.Dropout(config["dropout"])]
        n_inputs = size
    return torch.nn.Sequential(*layers, torch.nn.Linear(n_inputs, n_outputs))


class GRU(torch.nn.Module):
    """One GRU layer, in one or both directions, with dropout before and after."""

    def __init__(self, n_inputs: int, n_outputs: int, config: Config) -> None:
        super().__init__()
        both, size = config["bidirectional"], config["hidden"][0]
        self.dropout = torch.nn.Dropout(config["dropout"])
        self.recurrent = torch.nn.GRU(n_inputs, size, batch_first=True, bidirectional=both)
        self.readout = torch.nn.Linear(size * (1 + both), n_outputs)

    def forward(self, rates: torch.Tensor) -> torch.Tensor:
        return self.readout(self.dropout(self.recurrent(self.dropout(rates))[0]))


def window_steps(config: Config) -> int:
    """Bins in one window; the MLP, which has lags instead, reads one row at a time."""
    return round(config["window"] / config["bin_size"]) if "window" in config else 1


def batches(grid: Grid, config: Config, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows (n_windows, n_steps) of one pass over the known part, in random order, cut at a random offset."""
    known, steps = grid.known(), window_steps(config)
    starts = np.arange(known[0] + rng.integers(steps), known[-1] + 2 - steps, steps)
    for chunk in np.array_split(rng.permutation(starts), max(1, len(starts) * steps // (1024 if steps > 1 else 256))):
        yield chunk[:, None] + np.arange(steps)


@torch.no_grad()
def network_predict(network: torch.nn.Module, grid: Grid, config: Config, times: np.ndarray) -> np.ndarray:
    """Predict at ``times``; windows overlap by half and their middles weigh most."""
    network.eval()
    rows, steps, offsets = grid.rows(times), window_steps(config), lag_offsets(config)
    total, weights = np.zeros((len(grid.centres), grid.targets.shape[1])), np.zeros((len(grid.centres), 1))
    triangle = np.minimum(np.arange(steps) + 1, steps - np.arange(steps)).astype(float)
    last = len(grid.centres) - steps
    starts = np.unique(np.clip(np.arange(rows[0] - steps // 2, rows[-1] + 1, max(1, steps // 2)), 0, last))
    for chunk in np.array_split(starts, max(1, len(starts) * steps // 8192)):
        windows = chunk[:, None] + np.arange(steps)
        output = network(torch.from_numpy(lagged(grid.rates, windows, offsets))).numpy()
        np.add.at(total, windows, output * triangle[:, None])
        np.add.at(weights, windows, np.broadcast_to(triangle[:, None], (*windows.shape, 1)))
    return grid.at(times, rows, total[rows] / weights[rows])


def train_epochs(build: Builder, grid: Grid, config: Config, seed: int, epochs: int) -> Iterator[torch.nn.Module]:
    """Train with AdamW and give, after each pass, the network with the running mean of the weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    offsets = lag_offsets(config)
    network = build(grid.rates.shape[1] * len(offsets), grid.targets.shape[1], config)
    # The running mean makes the score of a pass steady enough to stop by.
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["learning_rate"], weight_decay=0.01)
    for _ in range(epochs):
        network.train()
        for windows in batches(grid, config, rng):
            targets = torch.from_numpy(grid.targets[windows].astype(np.float32))
            known = torch.isfinite(targets)
            output = network(torch.from_numpy(lagged(grid.rates, windows, offsets)))
            loss = torch.nn.functional.mse_loss(output[known], targets[known])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(network)
        yield average


def network_choose(build: Builder, search: Search, recording: Recording, train: np.ndarray, seed: int) -> Config:
    """Settings and number of passes that do best on the last 20 % of the training part."""
    samples = np.flatnonzero(train)
    validation = np.zeros_like(train)
    validation[samples[int(0.8 * len(samples)) :]] = True

    def score(config: Config) -> tuple[float, Config]:
        if not allowed(recording, config):
            return -np.inf, {}
        grid = make_grid(recording, train & ~validation, config)
        best, best_epoch = -np.inf, 0
        for epoch, network in enumerate(train_epochs(build, grid, config, seed, MAX_EPOCHS), start=1):
            prediction = network_predict(network, grid, config, recording.times[validation])
            result = r2_score(recording.values[validation], prediction)
            if result > best:
                best, best_epoch = result, epoch
            elif epoch >= best_epoch + PATIENCE:
                break
        return best, {"epochs": best_epoch}

    return coordinate_search(search, score)


def network_fit_predict(
    build: Builder,
    search: Search,
    recording: Recording,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    config: Config | None,
) -> tuple[np.ndarray, Config]:
    """Choose settings unless they are given, then train on all of the training part and predict at the test samples."""
    if config is None:
        config = network_choose(build, search, recording, train, seed)
    grid = make_grid(recording, train, config)
    *_, network = train_epochs(build, grid, config, seed, config["epochs"])
    return network_predict(network, grid, config, recording.times[test]), config


def mlp(
    recording: Recording, train: np.ndarray, test: np.ndarray, seed: int = 0, config: Config | None = None
) -> tuple[np.ndarray, Config]:
    """Multilayer perceptron on Gaussian-smoothed rates with lags; parameters as :func:`ridge`, nothing chosen again."""
    return network_fit_predict(build_mlp, MLP_SEARCH, recording, train, test, seed, config)


def gru(
    recording: Recording, train: np.ndarray, test: np.ndarray, seed: int = 0, config: Config | None = None
) -> tuple[np.ndarray, Config]:
    """Gated recurrent network on binned counts, in windows of seconds; parameters and returns as :func:`mlp`."""
    return network_fit_predict(GRU, GRU_SEARCH, recording, train, test, seed, config)


BASELINES: dict[str, Callable[..., tuple[np.ndarray, Config]]] = {
    "ridge": ridge, "bayes": bayes, "mlp": mlp, "gru": gru,
}  # fmt: skip
