"""What held-out samples tell of a decoder's errors: how large they are where windows disagree, how sure labels are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import GammaRegressor

LEVELS = np.linspace(0, 1, 401)
FEWEST_SAMPLES = 20  # with known targets, to tell anything by


@dataclass(frozen=True)
class ErrorModel:
    """Errors of one output: ``scale * spread ** exponent`` times a quantile.

    ``spread`` is the standard deviation of what a sample's overlapping windows say. How errors grow with it is a
    regression with Gamma errors and a logarithmic link; the quantiles are those of split conformal prediction with
    errors divided by their scale (Lei et al. 2018, J. Am. Stat. Assoc. 113:1094, section 5.2).

    Parameters
    ----------
    scale, exponent : float
        Mean error where the spread is one, and the power by which it grows.
    lowest, highest : float
        Spreads beyond these, of 1 and 99 % of the held-out samples, count as these.
    n_samples : int
        Number of held-out samples.
    rms : float
        Of errors divided by their scale.
    quantiles : tuple of float
        Of errors divided by their scale, at `LEVELS`.
    """

    scale: float
    exponent: float
    lowest: float
    highest: float
    n_samples: int
    rms: float
    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, error: np.ndarray, spread: np.ndarray) -> ErrorModel:
        """Model of errors (n,), zero or more, of samples of these spreads (n,)."""
        positive = np.maximum(spread, 1e-12)
        lowest, highest = np.quantile(positive, [0.01, 0.99])
        log_spread = np.log(np.clip(positive, lowest, highest))
        # Without a part that is above zero there is no logarithm of the mean.
        floor = 1e-6 * max(float(error.mean()), 1e-12)
        centre, width = log_spread.mean(), max(float(log_spread.std()), 1e-6)
        regression = GammaRegressor(alpha=1e-3, max_iter=500)
        regression.fit(((log_spread - centre) / width)[:, None], np.maximum(error, floor))
        exponent = max(0.0, float(regression.coef_[0]) / width)  # where windows agree, errors are not larger
        expected = np.exp(exponent * log_spread)
        scale = float(np.maximum(error, floor).mean() / expected.mean())
        relative = error / (scale * expected)
        rms = float(np.sqrt(np.mean(relative**2)))
        quantiles = tuple(np.quantile(relative, LEVELS, method="higher").tolist())
        return cls(scale, exponent, float(lowest), float(highest), len(error), rms, quantiles)

    def expected(self, spread: np.ndarray) -> np.ndarray:
        """Mean error of samples of these spreads."""
        return self.scale * np.clip(spread, self.lowest, self.highest) ** self.exponent

    def std(self, spread: np.ndarray) -> np.ndarray:
        """Root of the mean squared error of samples of these spreads."""
        return self.rms * self.expected(spread)

    def width(self, spread: np.ndarray, coverage: float) -> np.ndarray:
        """What a share ``coverage`` of errors stays below; infinite where the samples are too few to tell."""
        level = coverage * (self.n_samples + 1) / self.n_samples
        quantile = np.interp(level, LEVELS, self.quantiles) if level <= 1 else np.inf
        return quantile * self.expected(spread)


@dataclass(frozen=True)
class Temperature:
    """Labels: logarithms of probabilities are divided by ``value``, so that held-out labels came true as often.

    Source: Guo et al. 2017, "On calibration of modern neural networks" (arXiv 1706.04599).
    """

    value: float

    @classmethod
    def of(cls, probabilities: np.ndarray, codes: np.ndarray) -> Temperature:
        """Of the lowest log-loss of labels (n,) with probabilities (n, n_classes)."""
        logits, rows = np.log(probabilities), np.arange(len(codes))

        def log_loss(log_temperature: float) -> float:
            return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, codes].mean())

        return cls(float(np.exp(minimize_scalar(log_loss, bounds=(-3, 3), method="bounded").x)))

    def applied(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities from those of the network, (n, n_classes) each."""
        return softmax(np.log(probabilities) / self.value, axis=1)


BehaviorCalibration = Temperature | tuple[ErrorModel, ...]  # one model an output
Calibration = dict[str, dict[str, BehaviorCalibration]]  # by session and behaviour


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """Plain data."""
    return {session: {name: plain(behavior) for name, behavior in behaviors.items()}
            for session, behaviors in calibration.items()}  # fmt: skip


def plain(behavior: BehaviorCalibration) -> Any:
    """One behaviour as plain data."""
    return asdict(behavior) if isinstance(behavior, Temperature) else [asdict(model) for model in behavior]


def calibration_from_json(data: Mapping[str, Any]) -> Calibration:
    """Inverse of `calibration_to_json`."""
    return {session: {name: Temperature(**behavior) if isinstance(behavior, dict) else
                      tuple(ErrorModel(**model | {"quantiles": tuple(model["quantiles"])}) for model in behavior)
                      for name, behavior in behaviors.items()} for session, behaviors in data.items()}  # fmt: skip
