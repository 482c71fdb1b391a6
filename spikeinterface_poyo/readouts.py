"""Readouts: each behaviour, by name, has columns of its own in the network's last layer and a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from .samples import SpikeSamples
from .signals import TargetInfo, check_same_kind, rescale


@dataclass(frozen=True)
class Readout:
    """One behaviour that the network reads out.

    Parameters
    ----------
    name : str
        Name of the behaviour.
    first_column : int
        Where its columns begin in the readout layer.
    mean, scale : tuple of float, one an output
        Standardisation of the targets.
    units : str or None
        Unit of measure; None where the behaviour came without.
    output_names : tuple of str or None
        Names of the outputs.
    one_dimensional : bool
        Whether the targets were a one-dimensional array, and predictions are to be too.
    kind : {"continuous"}
        What the columns mean: here each is one standardised output.
    """

    name: str
    first_column: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    units: str | None = None
    output_names: tuple[str, ...] | None = None
    one_dimensional: bool = False
    kind: Literal["continuous"] = "continuous"

    @property
    def n_outputs(self) -> int:
        """Number of outputs, as users see them."""
        return len(self.mean)

    @property
    def n_columns(self) -> int:
        """Number of columns in the readout layer."""
        return len(self.mean)

    @property
    def columns(self) -> np.ndarray:
        """Columns of the readout layer, shape (n_columns,)."""
        return np.arange(self.first_column, self.first_column + self.n_columns)

    @property
    def target(self) -> TargetInfo:
        """What its targets measure."""
        return TargetInfo(self.units, self.output_names, self.name, self.n_outputs)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """What the network learns, (n, n_columns), from targets (n, n_outputs)."""
        return (y - np.array(self.mean)) / np.array(self.scale)

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """Inverse of `encode`."""
        return columns * np.array(self.scale) + np.array(self.mean)

    def mismatch(self, info: TargetInfo, n_outputs: int) -> str | None:
        """Why targets of this kind cannot be read out here, in words; None where they can."""
        if n_outputs != self.n_outputs:
            return f"{n_outputs} output(s) against {self.n_outputs}"
        if info.n_outputs is None:  # never aligned: nothing else is known of it
            return None
        try:
            check_same_kind(info, self.target, "the behaviour given")
            rescale(np.ones(1), info.units, self.units, "the behaviour given")
        except ValueError as error:
            return str(error)
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Readout:
        """Inverse of `to_json`."""
        names = data["output_names"]
        return cls(**data | {"mean": tuple(data["mean"]), "scale": tuple(data["scale"]),
                             "output_names": None if names is None else tuple(names)})  # fmt: skip


def standardisation(targets: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each output over its known targets; constant outputs scale by one."""
    known = ~np.isnan(targets) * weight[:, None]
    total = np.maximum(known.sum(axis=0), np.finfo(float).tiny)
    mean = (np.nan_to_num(targets) * known).sum(axis=0) / total
    variance = (np.nan_to_num(targets - mean) ** 2 * known).sum(axis=0) / total
    scale = np.sqrt(variance)
    return mean, np.where(scale > 1e-12 * np.maximum(1, np.abs(mean)), scale, 1.0)


def behaviors_of(X: SpikeSamples, y: np.ndarray) -> dict[str, tuple[TargetInfo, int, np.ndarray]]:
    """By name, the behaviours that samples have: what they measure, their number of outputs, which samples are theirs.

    ``y`` has shape (n_samples, most outputs); a behaviour of fewer outputs has them in the first columns.

    Raises
    ------
    ValueError
        Where ``y`` lacks outputs of a behaviour, or one of them is nowhere known.
    """
    used = np.unique(X.session_index)
    infos: dict[str, TargetInfo] = {}
    for position in used:
        infos.setdefault(X.targets[position].name, X.targets[position])
    behaviors = {}
    for name, info in infos.items():
        mine = np.isin(X.session_index, [position for position in used if X.targets[position].name == name])
        n_outputs = info.n_outputs if len(infos) > 1 and info.n_outputs is not None else y.shape[1]
        if n_outputs > y.shape[1]:
            raise ValueError(f"y has {y.shape[1]} output(s), behaviour {name!r} was aligned with {n_outputs}")
        unknown = np.isnan(y[mine, :n_outputs]).all(axis=0)
        if unknown.any():
            raise ValueError(f"output(s) {np.flatnonzero(unknown).tolist()} of behaviour {name!r} are all NaN")
        behaviors[name] = (info, n_outputs, mine)
    return behaviors


def shared_readouts(X: SpikeSamples, y: np.ndarray, known: Mapping[str, Readout]) -> dict[str, Readout]:
    """Those of the ``known`` readouts that read out what these samples have under the same name."""
    return {name: known[name] for name, (info, n_outputs, _) in behaviors_of(X, y).items()
            if name in known and known[name].mismatch(info, n_outputs) is None}  # fmt: skip


def make_readouts(
    X: SpikeSamples, y: np.ndarray, weight: np.ndarray, one_dimensional: bool, shared: Mapping[str, Readout]
) -> dict[str, Readout]:
    """Readouts of the behaviours that samples have: the ``shared`` ones, in columns that come first, and new ones.

    Parameters
    ----------
    X : SpikeSamples
        Samples.
    y : ndarray, shape (n_samples, most outputs)
        Their targets.
    weight : ndarray, shape (n_samples,)
        Their weights, for the standardisation.
    one_dimensional : bool
        Whether the user's targets were a one-dimensional array.
    shared : mapping of str to Readout
        Those that a pretrained decoder has.
    """
    readouts: dict[str, Readout] = {}
    for name, readout in shared.items():
        readouts[name] = replace(readout, first_column=n_columns(readouts))
    for name, (info, n_outputs, mine) in behaviors_of(X, y).items():
        if name not in shared:
            mean, scale = standardisation(y[mine, :n_outputs], weight[mine])
            names = info.names if info.names is not None and len(info.names) == n_outputs else None
            readouts[name] = Readout(name, n_columns(readouts), tuple(mean.tolist()), tuple(scale.tolist()),
                                     info.units, names, one_dimensional)  # fmt: skip
    return readouts


def n_columns(readouts: Mapping[str, Readout]) -> int:
    """Columns of the readout layer that holds them all."""
    return sum(readout.n_columns for readout in readouts.values())
