"""What ``poyo_decoding`` does: check, cross-validate, measure the importance of units, fit on everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from spikeinterface.core.job_tools import fix_job_kwargs
from tqdm.auto import tqdm

from .. import door
from ..classifier import POYOClassifier
from ..decoder.base import BasePOYO
from ..decoder.neo_out import alone, as_neo_event, as_neo_signal
from ..pipelines.splitters import BlockedKFold
from ..readouts.label_readout import CategoricalReadout
from ..readouts.number_readouts import CircularReadout
from ..readouts.readout import Readout
from ..readouts.targets import Targets
from ..sessions.samples import SpikeSamples
from ..versions import versions
from ..weights.files import to_bytes
from .cross_decoding import check_folds, cross_decode, fit_or_interrupt, only_readout
from .importance import unit_importance
from .stored_behavior import StoredBehavior, align_parameter, as_parameter
from .stored_decoder import make_decoder


@dataclass(frozen=True, eq=False)
class Task:
    """A computation that was checked: all that a user may have got wrong is found before any training.

    Parameters
    ----------
    parameters : dict
        What the extension keeps: JSON, but for a `StoredBehavior`.
    decoder : POYODecoder or POYOClassifier
        To clone.
    X : SpikeSamples, shape (n_samples,)
        Samples.
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Targets, as the decoder's ``fit`` takes them.
    splitter : BlockedKFold
        Folds.
    """

    parameters: dict[str, Any]
    decoder: BasePOYO
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
        behavior = as_parameter(given["behavior"])
        X, y = align_parameter(analyzer, behavior, given["series"], given["behavior_type"])
        labels = are_labels(X, y, given["decoder"])
        kept, decoder = make_decoder(given["decoder"], int(given["random_state"]), labels)
        checked, y = as_fitted(X, y, labels)
        ((target,),) = checked.X.targets
        check_folds(checked.X, checked.y, splitter, target.classes)
        kind = "categorical" if labels else target.kind
        behavior_type = kind if target.period is None else [kind, target.period]
        parameters = given | {"behavior": behavior, "behavior_type": behavior_type, "decoder": kept}
        return cls(parameters, decoder, checked.X, y, splitter)

    def run(self, job_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Data of the extension."""
        n_units = len(self.X.sessions[0].unit_ids) if self.parameters["importance"] else 0
        n_steps = self.splitter.n_splits + n_units + 1
        show = bool(fix_job_kwargs(dict(job_kwargs)).get("progress_bar", True))
        with tqdm(total=n_steps, desc="poyo_decoding: fits, then units", disable=not show) as bar:
            held_out = cross_decode(self.decoder, self.X, self.y, self.splitter, bar.update)
            score = "accuracy" if isinstance(self.decoder, POYOClassifier) else "r2"
            data: dict[str, Any] = {
                "times": self.X.times,
                "segment_index": self.X.segment_index,
                "fold": held_out.fold,
                "targets": held_out.targets,
                "decoded": held_out.decoded,
                f"fold_{score}": held_out.scores,
                score: np.array([held_out.score]),
            }
            provenance = self.provenance()
            if self.parameters["importance"]:
                keywords = {name: self.parameters[name] for name in ("n_windows", "exact", "random_state")}
                worth = unit_importance(
                    held_out.decoders, self.X, held_out.targets, held_out.fold, after_unit=bar.update, **keywords
                )
                data["unit_importance"] = worth.table
                provenance["importance"] = {
                    name: getattr(worth, name) for name in ("skill", "n_windows", "n_samples", "n_blocks")
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
        """What was decoded: unit of measure, names of outputs, if one-dimensional; of angles a full turn; labels."""
        ((target,),) = self.X.targets
        return {
            "units": target.units,
            "names": None if target.names is None else list(target.names),
            "one_dimensional": self.y.ndim == 1,
            "period": readout.period if isinstance(readout, CircularReadout) else None,
            "classes": list(readout.classes) if isinstance(readout, CategoricalReadout) else None,
        }

    def provenance(self) -> dict[str, Any]:
        """Versions, units, and each segment's clock with its extent in seconds."""
        session = self.X.sessions[0]
        clocks = [{"source": s.clock, "t_start": s.t_start, "t_stop": s.t_stop} for s in session.segments]
        return {"format_version": 1, "versions": versions(), "clocks": clocks, "unit_names": session.unit_names}


def are_labels(X: SpikeSamples, y: np.ndarray, decoder: Any) -> bool:
    """Whether a behaviour is labels: it is said to be, or is no numbers, or the given decoder takes it for labels.

    Raises
    ------
    ValueError
        Where it is said to be something else.
    """
    ((target,),) = X.targets
    is_text, is_classifier = y.dtype.kind in "USO", isinstance(decoder, POYOClassifier)
    if target.kind in ("continuous", "circular") and is_classifier:
        raise ValueError(f"behavior_type={target.kind!r} is for POYODecoder; got decoder={type(decoder).__name__}")
    if target.kind in ("continuous", "circular") and is_text:
        raise ValueError(f"the behaviour holds labels, which cannot be {target.kind}")
    return target.kind == "categorical" or is_text or is_classifier


def as_fitted(X: SpikeSamples, y: np.ndarray, labels: bool) -> tuple[Targets, np.ndarray]:
    """Samples and targets of `align`, checked, and the targets as the decoder's ``fit`` takes them."""
    checked = door.samples_and_targets(X, y, door.RawInputs(), {}, labels)
    if labels:
        return checked, y.ravel()
    ((target,),) = checked.X.targets
    return checked, checked.y[:, 0] if target.one_dimensional else checked.y


def unit_embeddings(decoder: BasePOYO, unit_names: list[str]) -> np.ndarray:
    """Embeddings (n_units, dim) of the only session's units, NaN where a unit has none."""
    (known,) = decoder.sessions_.sessions.values()
    table = decoder.network_.unit_emb.weight.detach().cpu().double().numpy()
    out = np.full((len(unit_names), table.shape[1]), np.nan)
    rows = known.unit_rows
    for i, name in enumerate(unit_names):
        if name in rows:
            out[i] = table[rows[name]]
    return out


def forget_units(decoder: BasePOYO, changed: Sequence[Any]) -> None:
    """Call units of the only session by other names where ``changed`` ones have theirs now."""
    ((name, known),) = decoder.sessions_.sessions.items()
    names = set(map(str, changed))

    def former(units: list[str]) -> list[str]:
        return [f"{unit}, before it was changed" if unit in names else unit for unit in units]

    decoder.sessions_.sessions[name] = replace(
        known, unit_names=former(known.unit_names), silent_units=former(known.silent_units)
    )


def decoded_signals(arrays: Mapping[str, np.ndarray], behavior: Mapping[str, Any]) -> Any:
    """Held-out decoded behaviour as neo signals, labels as events, one a segment in order of time, or the only one."""
    units, names = behavior["units"], behavior["names"]
    signals = []
    for segment in np.unique(arrays["segment_index"]):
        mine = np.flatnonzero(arrays["segment_index"] == segment)
        mine = mine[np.argsort(arrays["times"][mine], kind="stable")]
        times, decoded = arrays["times"][mine], arrays["decoded"][mine]
        description: dict[str, Any] = {"name": "held-out decoded behaviour", "segment_index": int(segment)}
        if behavior.get("classes") is None:
            signals.append(as_neo_signal(times, decoded, units, names, **description))
        else:
            signals.append(as_neo_event(times, decoded, **description))
    return alone(signals)
