"""The SpikeInterface extension ``poyo_decoding``: decoding, and what it says of units, beside all else of an analyzer.

Importing this module registers it; what is heavy is imported when something is computed or asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from spikeinterface.core import SortingAnalyzer
from spikeinterface.core.sortinganalyzer import register_result_extension

from ..recognition import as_python
from ..warning import warn
from .extension_storage import KeptUntilReplaced

if TYPE_CHECKING:
    from ..classifier import POYOClassifier
    from ..estimator import POYODecoder

NAME = "poyo_decoding"


class ComputePOYODecoding(KeptUntilReplaced):
    """Decode behaviour from the units of an analyzer, held out, and measure what each unit is worth.

    See `compute_poyo_decoding` for the parameters. ``data`` holds, for n samples of behaviour:

    - ``times`` (n,) in s, ``segment_index`` (n,), ``fold`` (n,): each sample, and the fold that tests on it;
    - ``targets`` and ``decoded`` (n, n_outputs), in the unit of measure of the behaviour; labels as positions in
      ``behavior["classes"]``;
    - ``fold_r2`` (n_folds,) and ``r2`` (1,): within each fold and over all held-out samples; of angles, R2 of their
      cosines and sines; of labels ``fold_accuracy`` and ``accuracy`` in their place;
    - ``unit_embeddings`` (n_units, dim), NaN for units that never fire;
    - ``unit_importance`` (n_units,), structured, with ``importance=True``: see `importance.UnitImportance`;
    - ``decoder``: a decoder of all samples as safetensors, uint8; `get_decoder` gives it;
    - ``behavior``, ``provenance`` and ``curation``: what was decoded, by which versions and on which clocks, and which
      units must be computed again after merges and splits;
    - ``behavior_signals``, ``behavior_times_<i>`` and ``behavior_values_<i>``: a behaviour that was given as a signal.

    What was computed before stays until the new result is complete.
    """

    extension_name = NAME
    need_job_kwargs = True

    def _set_params(
        self,
        behavior: Any = None,
        decoder: Any = None,
        series: str | None = None,
        behavior_type: Any = None,
        n_folds: int = 5,
        gap: float = 2.0,
        importance: bool = True,
        exact: bool = False,
        n_windows: int = 100,
        random_state: int = 0,
    ) -> dict[str, Any]:
        from .extension_run import Task

        self._task = Task.of(
            self.sorting_analyzer,
            behavior=behavior,
            decoder=decoder,
            series=series,
            behavior_type=behavior_type,
            n_folds=n_folds,
            gap=gap,
            importance=importance,
            exact=exact,
            n_windows=n_windows,
            random_state=random_state,
        )
        return self._task.parameters

    def _run(self, verbose: bool = False, **job_kwargs: Any) -> None:
        self.data = self._task.run(job_kwargs)
        del self._task

    def _save_params(self) -> None:
        from .stored_behavior import MARKER, StoredBehavior

        given = self.params
        if isinstance(given["behavior"], StoredBehavior):  # its arrays are in the data; JSON gets a note
            self.params = given | {"behavior": MARKER}
        try:
            super()._save_params()
        finally:
            self.params = given

    def load_data(self, lazy: bool = False) -> None:
        """Load, and give the parameters back the behaviour that is stored as data."""
        from .stored_behavior import MARKER, StoredBehavior

        super().load_data(lazy=lazy)
        if self.params["behavior"] == MARKER and "behavior_signals" in self.data:
            self.params["behavior"] = StoredBehavior.from_data(self.data)

    def _get_data(self, outputs: Literal["numpy", "by_unit", "neo"] = "numpy") -> Any:
        """What was computed.

        Parameters
        ----------
        outputs : {"numpy", "by_unit", "neo"}, default: "numpy"
            "numpy" is a dict of arrays: ``times``, ``segment_index``, ``fold``, ``targets``, ``decoded``; the last two
            are (n, n_outputs), or labels (n,), None where unknown. "by_unit" is a dict of unit id to a dict with
            ``embedding`` and, where it was measured, the fields of the importance. "neo" is the held-out decoded
            behaviour, one signal, or event of labels, a segment, or the only one.
        """
        if outputs == "numpy":
            names = ("times", "segment_index", "fold", "targets", "decoded")
            arrays = {name: np.asarray(self.data[name][:]) for name in names}
            if self.classes is not None:
                from ..readouts.codes import decode

                arrays |= {name: decode(arrays[name][:, 0], self.classes) for name in ("targets", "decoded")}
            return arrays
        if outputs == "by_unit":
            columns = {"embedding": np.asarray(self.data["unit_embeddings"][:])}
            if (importance := self.get_importance()) is not None:
                columns |= {name: importance[name] for name in importance.dtype.names or ()}
            unit_ids = self.sorting_analyzer.unit_ids
            return {unit: {name: column[i] for name, column in columns.items()} for i, unit in enumerate(unit_ids)}
        if outputs == "neo":
            from .extension_run import decoded_signals

            return decoded_signals(self._get_data("numpy"), self.data["behavior"])
        raise ValueError(f"outputs must be 'numpy', 'by_unit' or 'neo', got {outputs!r}")

    def get_importance(self) -> np.ndarray | None:
        """Structured array (n_units,) of `importance.UnitImportance.table`; None where it was not measured."""
        return np.asarray(self.data["unit_importance"][:]) if "unit_importance" in self.data else None

    def get_decoder(self) -> POYODecoder | POYOClassifier:
        """The decoder that was fitted on all samples; ``decoder.predict(analyzer)`` decodes the whole recording.

        Where behaviour had no regular interval, as trials have none, give ``times=`` to it.

        Units that merges and splits made since are not known to it, also where they bear the id of one that was.
        """
        from ..classifier import POYOClassifier
        from ..estimator import POYODecoder
        from ..weights.files import from_bytes
        from .extension_run import forget_units

        kind = POYODecoder if self.classes is None else POYOClassifier
        decoder = from_bytes(kind, np.asarray(self.data["decoder"][:], dtype=np.uint8).tobytes())
        forget_units(decoder, self.units_to_recompute)
        return decoder.set_params(device="auto")  # where it was trained may be another machine

    @property
    def classes(self) -> list[Any] | None:
        """The labels that there are, in ascending order; None where behaviour is numbers or angles."""
        return self.data["behavior"].get("classes")  # which was not written before there were labels

    @property
    def r2(self) -> float:
        """R2 of all held-out samples, uniform average over outputs; of angles, over their cosines and sines.

        Raises
        ------
        ValueError
            For labels.
        """
        if self.classes is not None:
            raise ValueError("labels have an accuracy, not an R2: see extension.accuracy")
        return float(self.data["r2"][0])

    @property
    def accuracy(self) -> float:
        """Share of all held-out labels that were decoded as they are.

        Raises
        ------
        ValueError
            For numbers and angles.
        """
        if self.classes is None:
            raise ValueError("numbers and angles have an R2, not an accuracy: see extension.r2")
        return float(self.data["accuracy"][0])

    @property
    def units_to_recompute(self) -> list[Any]:
        """Units that merges and splits made since: they have no embedding and no importance (NaN)."""
        return list(self.data["curation"]["units_to_recompute"])

    def _select_units_extension_data(self, unit_ids: Sequence[Any]) -> dict[str, Any]:
        return self._reordered(unit_ids, changed=(), event=f"{len(unit_ids)} units selected")

    def _merge_extension_data(
        self,
        merge_unit_groups: Sequence[Sequence[Any]],
        new_unit_ids: Sequence[Any],
        new_sorting_analyzer: SortingAnalyzer,
        keep_mask: np.ndarray | None = None,
        verbose: bool = False,
        **job_kwargs: Any,
    ) -> dict[str, Any]:
        groups = [[as_python(unit) for unit in group] for group in merge_unit_groups]
        event = f"units merged: {groups} became {[as_python(unit) for unit in new_unit_ids]}"
        return self._reordered(new_sorting_analyzer.unit_ids, changed=new_unit_ids, event=event)

    def _split_extension_data(
        self,
        split_units: dict[Any, Any],
        new_unit_ids: Sequence[Sequence[Any]],
        new_sorting_analyzer: SortingAnalyzer,
        verbose: bool = False,
        **job_kwargs: Any,
    ) -> dict[str, Any]:
        parts = [[as_python(unit) for unit in units] for units in new_unit_ids]
        event = f"units split: {[as_python(unit) for unit in split_units]} became {parts}"
        changed = [unit for units in new_unit_ids for unit in units]
        return self._reordered(new_sorting_analyzer.unit_ids, changed=changed, event=event)

    def _reordered(self, unit_ids: Sequence[Any], changed: Sequence[Any], event: str) -> dict[str, Any]:
        """Data for the units ``unit_ids``, of which the ``changed`` ones are not those that were computed."""
        old = {unit: i for i, unit in enumerate(self.sorting_analyzer.unit_ids)}
        new = set(changed)
        rows = np.array([-1 if unit in new else old[unit] for unit in unit_ids], dtype=np.int64)
        data = dict(self.data)
        for name in {"unit_embeddings", "unit_importance"} & set(data):
            values = np.asarray(data[name][:])[rows]
            values[rows < 0] = blank(values.dtype)
            data[name] = values
        stale = {*map(as_python, self.units_to_recompute), *map(as_python, changed)}
        events = [*self.data["curation"]["events"], event]
        to_recompute = [as_python(unit) for unit in unit_ids if as_python(unit) in stale]
        data["curation"] = {"units_to_recompute": to_recompute, "events": events}
        if len(changed):
            warn(
                f"{NAME}: decoded behaviour, scores and decoder are still those of the units before ({event}); the new "
                f"units have no importance and no embedding. analyzer.compute({NAME!r}, ...) computes them again",
            )
        return data


register_result_extension(ComputePOYODecoding)


def compute_poyo_decoding(
    sorting_analyzer: SortingAnalyzer,
    behavior: Any,
    decoder: POYODecoder | POYOClassifier | dict[str, Any] | str | PathLike[str] | None = None,
    *,
    series: str | None = None,
    behavior_type: Any = None,
    n_folds: int = 5,
    gap: float = 2.0,
    importance: bool = True,
    exact: bool = False,
    n_windows: int = 100,
    random_state: int = 0,
    **job_kwargs: Any,
) -> dict[str, np.ndarray]:
    """Decode behaviour from an analyzer's units; the same as ``sorting_analyzer.compute("poyo_decoding", ...)``.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        Any format. Its recording, where it has one, is the clock.
    behavior : signal, path, or list of them
        A signal as for `align`, also of labels, or the path of a ``.npz`` (``times`` in s, ``values``, perhaps
        ``units``, ``names``) or NWB file; a list with one a segment where there are several. A path is kept in the
        parameters, a signal is stored as data.
    decoder : POYODecoder, POYOClassifier, dict, str, path or None
        What to fit: an unfitted decoder or its parameters (but for ``checkpoint``, which is for a single fit), or
        pretrained weights to adapt (anything that ``POYODecoder(pretrained=...)`` takes). None is
        ``POYODecoder(random_state=random_state)``, and of labels ``POYOClassifier``.
    series : str, optional
        Name of the time series in an NWB file.
    behavior_type : str or tuple, optional
        "circular" for angles, in the unit of measure or in radians; ``("circular", 24.0)`` has 24 as a full turn.
        "categorical" for labels that are numbers or truth values; text is labels anyway. Else behaviour is plain
        numbers. See `align`.
    n_folds : int, default: 5
        Contiguous folds of each segment; see `BlockedKFold`.
    gap : float, default: 2.0
        Seconds around a tested part that are not trained on.
    importance : bool, default: True
        Measure the importance of units.
    exact : bool, default: False
        Take p values of shifts from 199 shifts of each unit. Slow.
    n_windows : int, default: 100
        Context windows that the importance is measured on at most, spread evenly over the held-out time.
    random_state : int, default: 0
        Seed of the decoder, where it has none of its own, and of shifts and sign flips.
    **job_kwargs
        Of SpikeInterface's job parameters, ``progress_bar`` is used.

    Returns
    -------
    dict of str to ndarray
        ``times``, ``segment_index``, ``fold``, ``targets`` and ``decoded``.

    Raises
    ------
    ValueError, TypeError
        For input that cannot be decoded, before any training.
    FileNotFoundError
        Where a path of behaviour or weights leads nowhere.
    KeyboardInterrupt
        For Ctrl-C; what was computed before stays.
    """
    extension = sorting_analyzer.compute(
        NAME,
        behavior=behavior,
        decoder=decoder,
        series=series,
        behavior_type=behavior_type,
        n_folds=n_folds,
        gap=gap,
        importance=importance,
        exact=exact,
        n_windows=n_windows,
        random_state=random_state,
        **job_kwargs,
    )
    return extension.get_data()


def blank(dtype: np.dtype) -> Any:
    """What stands for a unit that has not been computed."""
    return np.nan if dtype.names is None else np.array((np.nan,) * len(dtype.names), dtype=dtype)
