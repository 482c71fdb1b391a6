"""What ``poyo_decoding`` does: check, cross-validate, measure the importance of units, fit on everything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from spikeinterface.core.job_tools import fix_job_kwargs
from tqdm.auto import tqdm

from . import door
from .cross_decoding import check_folds, cross_decode, fit_or_interrupt, only_readout
from .estimator import POYODecoder
from .importance import unit_importance
from .neo_out import alone, as_neo_signal
from .pretrained import load_pretrained
from .readout import Readout
from .readouts import CircularReadout
from .runtime import find_device
from .samples import SpikeSamples
from .splitters import BlockedKFold
from .stored_behavior import StoredBehavior, align_parameter, as_parameter
from .weights import plain_number, plain_seed, to_bytes

VERSIONS = ("spikeinterface_poyo", "spikeinterface", "torch", "numpy")


@dataclass(frozen=True, eq=False)
class Task:
    """A computation that was checked: all that a user may have got wrong is found before any training.

    Parameters
    ----------
    parameters : dict
        What the extension keeps: JSON, but for a `StoredBehavior`.
    decoder : POYODecoder
        To clone.
    X : SpikeSamples, shape (n_samples,)
        Samples.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    splitter : BlockedKFold
        Folds.
    """

    parameters: dict[str, Any]
    decoder: POYODecoder
    X: SpikeSamples
    y: np.ndarray
    splitter: BlockedKFold

    @classmethod
    def of(cls, analyzer: Any, **given: Any) -> Task:
        """From what a user gives ``compute``.

        Raises
        ------
        ValueError, TypeError, FileNotFoundError
            Where it cannot be computed; see the message.
        """
        for name in ("importance", "exact"):
            if not isinstance(given[name], (bool, np.bool_)):
                raise ValueError(f"{name} must be True or False, got {given[name]!r}")
        for name, least in (("n_folds", 2), ("n_windows", 1), ("random_state", 0)):
            if not isinstance(given[name], (int, np.integer)) or given[name] < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {given[name]!r}")
        splitter = BlockedKFold(given["n_folds"], gap=given["gap"])
        kept, decoder = make_decoder(given["decoder"], int(given["random_state"]))
        behavior = as_parameter(given["behavior"])
        X, y = align_parameter(analyzer, behavior, given["series"], given["behavior_type"])
        ((target,),) = X.targets
        if target.kind == "categorical":
            raise ValueError("poyo_decoding decodes numbers and angles; labels are decoded by POYOClassifier")
        checked = door.samples_and_targets(X, y, door.RawInputs(), {})
        X, y = checked.X, checked.y[:, 0] if checked.X.targets[0][0].one_dimensional else checked.y
        check_folds(X, y, splitter)
        kind = target.kind if target.period is None else [target.kind, target.period]
        parameters = given | {"behavior": behavior, "behavior_type": kind, "decoder": kept}
        return cls(parameters, decoder, X, y, splitter)

    def run(self, job_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Data of the extension."""
        n_units = len(self.X.sessions[0].unit_ids) if self.parameters["importance"] else 0
        n_steps = self.splitter.n_splits + n_units + 1
        show = bool(fix_job_kwargs(dict(job_kwargs)).get("progress_bar", True))
        with tqdm(total=n_steps, desc="poyo_decoding: fits, then units", disable=not show) as bar:
            held_out = cross_decode(self.decoder, self.X, self.y, self.splitter, bar.update)
            data: dict[str, Any] = {
                "times": self.X.times,
                "segment_index": self.X.segment_index,
                "fold": held_out.fold,
                "targets": self.y.reshape(len(self.y), -1),
                "decoded": held_out.decoded,
                "fold_r2": held_out.scores,
                "r2": np.array([held_out.score]),
            }
            provenance = self.provenance()
            if self.parameters["importance"]:
                keywords = {name: self.parameters[name] for name in ("n_windows", "exact", "random_state")}
                worth = unit_importance(
                    held_out.decoders, self.X, self.y, held_out.fold, after_unit=bar.update, **keywords
                )
                data["unit_importance"] = worth.table
                provenance["importance"] = {
                    name: getattr(worth, name) for name in ("score", "n_windows", "n_samples", "n_blocks")
                }
            decoder = fit_or_interrupt(self.decoder, self.X, self.y)
            bar.update()
        data["unit_embeddings"] = unit_embeddings(decoder, self.X.sessions[0].unit_names)
        data["decoder"] = np.frombuffer(to_bytes(decoder), dtype=np.uint8)
        data["behavior"] = self.described(only_readout(decoder))
        data["provenance"] = provenance
        data["curation"] = {"units_to_recompute": [], "events": []}
        if isinstance(self.parameters["behavior"], StoredBehavior):
            data |= self.parameters["behavior"].to_data()
        return data

    def described(self, readout: Readout) -> dict[str, Any]:
        """What was decoded: unit of measure, names of outputs, if one-dimensional; of angles a full turn."""
        ((target,),) = self.X.targets
        names = None if target.names is None else list(target.names)
        period = readout.period if isinstance(readout, CircularReadout) else None
        return {"units": target.units, "names": names, "one_dimensional": self.y.ndim == 1, "period": period}

    def provenance(self) -> dict[str, Any]:
        """Versions, units, and each segment's clock with its extent in seconds."""
        session = self.X.sessions[0]
        clocks = [{"source": s.clock, "t_start": s.t_start, "t_stop": s.t_stop} for s in session.segments]
        versions = {name: version(name) for name in VERSIONS}
        return {"format_version": 1, "versions": versions, "clocks": clocks, "unit_names": session.unit_names}


def make_decoder(given: Any, random_state: int) -> tuple[Any, POYODecoder]:
    """What is kept of ``decoder=`` in the parameters, as JSON, and the decoder to clone.

    Raises
    ------
    TypeError, ValueError
        Where it is none, or has parameters that are out of range or cannot be written down.
    """
    kept: Any = None
    if given is None:
        decoder = POYODecoder(random_state=random_state)
    elif isinstance(given, (str, PathLike)):
        kept = lasting(given)
        decoder = POYODecoder(pretrained=kept, random_state=random_state)
    elif isinstance(given, (POYODecoder, Mapping)):
        parameters = dict(given) if isinstance(given, Mapping) else given.get_params()
        if parameters.get("random_state") is not None and plain_seed(parameters["random_state"]) is None:
            raise ValueError(f"random_state of the decoder must be an integer or None to be kept, got "
                             f"{parameters['random_state']!r}")  # fmt: skip
        parameters.pop("checkpoint", None)  # a file of one fit; here are several
        if "device" in parameters:
            parameters["device"] = str(parameters["device"])
        if parameters.get("pretrained") is not None:
            parameters["pretrained"] = lasting(parameters["pretrained"])
        default = POYODecoder().get_params()
        unknown = sorted(set(parameters) - set(default))
        if unknown:
            raise ValueError(f"decoder has unknown parameters {unknown}; POYODecoder has {sorted(default)}")
        kept = {name: value for name, value in parameters.items() if value != default[name]}
        try:
            json.dumps(kept, default=plain_number)
        except TypeError as error:
            raise TypeError(f"parameters of the decoder are kept as JSON, and {error}") from error
        decoder = POYODecoder(**kept)
    else:
        raise TypeError("decoder must be a POYODecoder, a dict of its parameters, pretrained weights by name or path, "
                        f"or None; got {type(given).__name__}")  # fmt: skip
    door.check_parameters(decoder)
    find_device(decoder.device)
    if decoder.pretrained is not None:
        load_pretrained(decoder.pretrained)
    return kept, clone(decoder)


def lasting(source: Any) -> str:
    """Pretrained weights by a name that holds in other working directories too."""
    return str(Path(source).absolute()) if os.path.exists(source) else str(source)


def unit_embeddings(decoder: POYODecoder, unit_names: list[str]) -> np.ndarray:
    """Embeddings (n_units, dim) of the only session's units, NaN where a unit has none."""
    (known,) = decoder.sessions_.sessions.values()
    table = decoder.network_.unit_emb.weight.detach().cpu().double().numpy()
    out = np.full((len(unit_names), table.shape[1]), np.nan)
    for i, name in enumerate(unit_names):
        if name in known.unit_rows:
            out[i] = table[known.unit_rows[name]]
    return out


def forget_units(decoder: POYODecoder, changed: Sequence[Any]) -> None:
    """Call units of the only session by other names where ``changed`` ones have theirs now."""
    ((name, known),) = decoder.sessions_.sessions.items()
    names = set(map(str, changed))

    def former(units: list[str]) -> list[str]:
        return [f"{unit}, before it was changed" if unit in names else unit for unit in units]

    decoder.sessions_.sessions[name] = replace(
        known, unit_names=former(known.unit_names), silent_units=former(known.silent_units)
    )


def decoded_signals(arrays: Mapping[str, np.ndarray], behavior: Mapping[str, Any]) -> Any:
    """Held-out decoded behaviour as neo signals, one a segment in order of time, or the only one by itself."""
    units, names = behavior["units"], behavior["names"]
    signals = []
    for segment in np.unique(arrays["segment_index"]):
        mine = np.flatnonzero(arrays["segment_index"] == segment)
        mine = mine[np.argsort(arrays["times"][mine], kind="stable")]
        times, decoded, name = arrays["times"][mine], arrays["decoded"][mine], "held-out decoded behaviour"
        signals.append(as_neo_signal(times, decoded, units, names, name=name, segment_index=int(segment)))
    return alone(signals)


def blank(dtype: np.dtype) -> Any:
    """What stands for a unit that has not been computed."""
    return np.nan if dtype.names is None else np.array((np.nan,) * len(dtype.names), dtype=dtype)
