"""Does merging or splitting units help decoding? The same folds, decoded before and after, compared block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from ..inputs.spikes_in import as_session
from ..pipelines.splitters import BlockedKFold
from ..sessions.session import Session
from .cross_decoding import cross_decode
from .extension_run import as_fitted
from .held_out_windows import SECONDS_A_BLOCK
from .importance import sign_flip_p
from .stored_behavior import align_parameter
from .stored_decoder import make_decoder

if TYPE_CHECKING:
    from spikeinterface.core import SortingAnalyzer

ROUNDING = 1e-6  # s


@dataclass(frozen=True)
class CurationEffect:
    """What merging or splitting units does to decoding.

    Parameters
    ----------
    score_before, score_after : float
        Of all held-out samples: R2, uniform average over outputs, or accuracy of labels.
    p : float
        Two-sided p value of their difference, by sign flips over blocks of time of 5 s.
    n_blocks : int
        Number of those blocks.
    """

    score_before: float
    score_after: float
    p: float
    n_blocks: int

    @property
    def difference(self) -> float:
        """Score after less score before: positive where the change helps."""
        return self.score_after - self.score_before


def compare_curation(
    sorting_analyzer: SortingAnalyzer,
    *,
    merge_unit_groups: Sequence[Sequence[Any]] | None = None,
    split_units: Mapping[Any, Sequence[Sequence[int]]] | None = None,
    progress_bar: bool = True,
) -> CurationEffect:
    """Decode again as if units were merged or split; the analyzer stays as it is.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``poyo_decoding`` computed; behaviour, folds and decoder are the same again.
    merge_unit_groups : list of lists of unit ids, optional
        Each group becomes one unit, as in ``merge_units``.
    split_units : dict of unit id to list of index arrays, optional
        Indices of each part among the unit's spikes, as in ``split_units``.
    progress_bar : bool, default: True
        Show one.

    Returns
    -------
    CurationEffect
        The p value tells whether these two sets of decoders differ on this behaviour. Another seed gives other
        decoders: a difference that matters should come again where both were made with another ``random_state``.

    Raises
    ------
    ValueError
        Where nothing or something unknown is to be changed, or the extension is not there or is of other units.
    """
    extension = sorting_analyzer.get_extension("poyo_decoding")
    if extension is None or extension.units_to_recompute:
        raise ValueError("compare_curation needs poyo_decoding of the present units: "
                         "analyzer.compute('poyo_decoding', behavior=...)")  # fmt: skip
    session = as_session(sorting_analyzer)
    if session.unit_names != extension.data["provenance"]["unit_names"]:
        raise ValueError("the units are not those that poyo_decoding was computed on; compute it again")
    session = as_it_was(session, extension.data["provenance"]["clocks"], durations_of(sorting_analyzer))
    changed = merge_units(session, merge_unit_groups or [])
    changed = split_session(changed, split_units or {})
    if changed is session:
        raise ValueError("nothing to compare: give merge_unit_groups= or split_units=")
    parameters = extension.params
    kind = parameters.get("behavior_type")  # of which earlier versions kept nothing
    X, y = align_parameter(changed, parameters["behavior"], parameters["series"], kind)
    labels = extension.classes is not None
    given, y = as_fitted(X, y, labels)
    _, decoder = make_decoder(parameters["decoder"], parameters["random_state"], labels)
    splitter = BlockedKFold(parameters["n_folds"], gap=parameters["gap"])
    with tqdm(total=splitter.n_splits, desc="compare_curation", disable=not progress_bar) as bar:
        after = cross_decode(decoder, given.X, y, splitter, bar.update)
    targets, decoded = (np.asarray(extension.data[name][:]) for name in ("targets", "decoded"))
    block = blocks_of(X.times, X.segment_index, after.fold)
    true = after.readout.as_points(targets)
    error = [np.square(after.readout.as_points(values) - true) for values in (decoded, after.decoded)]
    gain = np.nansum((error[0] - error[1]) * after.readout.cost(true), axis=1)
    by_block = np.bincount(block, gain)[None]
    rng = np.random.default_rng(parameters["random_state"])
    one_sided = min(float(sign_flip_p(sign * by_block, rng)[0]) for sign in (1, -1))
    before = after.readout.score(targets, decoded)
    return CurationEffect(before, after.score, min(1.0, 2 * one_sided), by_block.shape[1])


def as_it_was(session: Session, clocks: Sequence[Mapping[str, Any]], durations: Sequence[float]) -> Session:
    """The session with the extent that it had when it was decoded, as provenance keeps it; another clock is refused.

    Without its recording an analyzer knows no more than samples, which count from zero: as before where the recording
    began there, and lasted as long as its number of samples says, in ``durations`` (s) of the segments.
    """
    segments = []
    for index, (segment, clock, lasts) in enumerate(zip(session.segments, clocks, durations, strict=True)):
        now, then = (segment.t_start, segment.t_stop), (clock["t_start"], clock["t_stop"])
        if segment.clock == clock["source"]:
            same = np.allclose(now, then, rtol=0, atol=ROUNDING)
        else:
            steady = clock["source"] != "recording" or abs(then[1] - then[0] - lasts) < ROUNDING
            same = steady and abs(then[0]) < ROUNDING and now[0] > -ROUNDING and now[1] < then[1] + ROUNDING
        if not same:
            raise ValueError(f"segment {index} lies from {now[0]:.3f} to {now[1]:.3f} s, and lay from {then[0]:.3f} to "
                             f"{then[1]:.3f} s when poyo_decoding was computed; where the analyzer lost its recording, "
                             "give it with analyzer.set_temporary_recording(recording)")  # fmt: skip
        segments.append(replace(segment, t_start=then[0], t_stop=then[1]))
    return replace(session, segments=tuple(segments))


def durations_of(analyzer: Any) -> list[float]:
    """Seconds of each segment by its number of samples, which an analyzer knows without its recording too."""
    rate = analyzer.sampling_frequency
    return [analyzer.get_num_samples(index) / rate for index in range(analyzer.get_num_segments())]


def blocks_of(times: np.ndarray, segment: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Number of the block of time of each sample; no block lies in two folds or segments."""
    key = np.column_stack([segment, fold, np.floor((times - times.min()) / SECONDS_A_BLOCK)])
    return np.unique(key, axis=0, return_inverse=True)[1].ravel()


def merge_units(session: Session, groups: Sequence[Sequence[Any]]) -> Session:
    """The session with each group of units as one, which has the id of its first.

    Raises
    ------
    ValueError
        For unknown units, groups of one, or units in several groups.
    """
    if not len(groups):
        return session
    if any(np.ndim(group) != 1 for group in groups):
        raise ValueError(f"merge_unit_groups must be a list of lists of units, got {groups!r:.200}")
    members = [str(unit) for group in groups for unit in group]
    unknown = sorted(set(members) - set(session.unit_names))
    if unknown or len(set(members)) < len(members) or any(len(group) < 2 for group in groups):
        raise ValueError(f"merge_unit_groups must be groups of two or more different units of {session.unit_names}; "
                         f"got {[list(group) for group in groups]}")  # fmt: skip
    index = {name: i for i, name in enumerate(session.unit_names)}
    target = np.arange(len(index))
    for group in groups:
        target[[index[str(unit)] for unit in group]] = index[str(group[0])]
    kept = np.unique(target)
    renumbered = np.searchsorted(kept, target).astype(np.int32)
    segments = tuple(replace(s, unit_index=renumbered[s.unit_index]) for s in session.segments)
    return replace(session, unit_ids=session.unit_ids[kept], segments=segments, properties={})


def split_session(session: Session, splits: Mapping[Any, Sequence[Sequence[int]]]) -> Session:
    """The session with units split into parts: ``<unit>-0``, ``<unit>-1``, ..., after all others.

    Raises
    ------
    ValueError
        For unknown units, or parts that are not all of a unit's spikes, each once.
    """
    for unit, parts in splits.items():
        if str(unit) not in session.unit_names:
            raise ValueError(f"unknown unit {unit!r} in split_units; known are {session.unit_names}")
        local = session.unit_names.index(str(unit))
        counts = [int((segment.unit_index == local).sum()) for segment in session.segments]
        label = number_of_part(parts, sum(counts))
        if label is None:
            raise ValueError(f"split_units[{unit!r}] must be two or more arrays that hold each of the indices 0 to "
                             f"{sum(counts) - 1} once")  # fmt: skip
        n_others = len(session.unit_ids) - 1
        segments = []
        for segment, mine in zip(session.segments, np.split(label, np.cumsum(counts)[:-1]), strict=True):
            index = segment.unit_index - (segment.unit_index > local)
            index[segment.unit_index == local] = n_others + mine
            segments.append(replace(segment, unit_index=index.astype(np.int32)))
        names = [*np.delete(session.unit_ids, local).tolist(), *(f"{unit}-{number}" for number in range(len(parts)))]
        unit_ids = np.array(list(map(str, names)))
        session = replace(session, unit_ids=unit_ids, segments=tuple(segments), properties={})
    return session


def number_of_part(parts: Sequence[Sequence[int]], n_spikes: int) -> np.ndarray | None:
    """Which part each spike of a unit is in; None where they are not two or more that hold each index once."""
    if len(parts) < 2 or any(np.ndim(part) != 1 for part in parts):
        return None
    spikes = np.concatenate([np.asarray(part, dtype=np.intp) for part in parts])
    if not np.array_equal(np.sort(spikes), np.arange(n_spikes)):
        return None
    return np.arange(len(parts)).repeat([len(part) for part in parts])[np.argsort(spikes)]
