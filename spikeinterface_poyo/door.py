"""The door: what a user hands to an estimator is recognised and checked here, before any long work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .inputs.alignment import pair
from .inputs.counts import check_plain, rows_as_samples
from .inputs.spikes_in import is_spiketrain_list
from .paths import is_path
from .readouts.readout import Readout
from .readouts.targets import Targets, as_targets
from .sessions.samples import SpikeSamples
from .sessions.session import Session


class RawInputs(NamedTuple):
    """What comes with sortings and behaviour, see `align`; ``classes`` are those of `POYOClassifier.partial_fit`."""

    session_id: Any = None
    behavior_name: Any = None
    epochs: Any = None
    behavior_type: Any = None
    classes: Any = None


FEATURES = ("n_features_in_", "feature_names_in_")  # scikit-learn's attributes of a fit on rows
SPIKE_PACKAGES = ("spikeinterface", "neo", "pynwb")


def holds_spikes(X: Any) -> bool:
    """Whether ``X`` is a sorting of some kind, or a list of them, rather than an array of counts."""
    if issparse(X):  # a dok_array is a Mapping too
        return False
    if isinstance(X, (SpikeSamples, Session, Mapping)) or is_spiketrain_list(X):
        return True
    if is_path(X):  # no array either: as_session says what is accepted
        return True
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and holds_spikes(X[0])
    return any(cls.__module__.split(".")[0] in SPIKE_PACKAGES for cls in type(X).__mro__)


def rows_of_counts(estimator: Any, X: Any, reset: bool = True) -> SpikeSamples:
    """Rows of an array of counts, whose columns the estimator takes note of, or compares with those that it knows."""
    check_plain(X)
    if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "fiu":
        raise ValueError(f"Expected 2D array, got 1D array instead, of shape {X.shape}. Counts have shape (n_samples, "
                         "n_units); times go with a sorting, as in predict(sorting, times=...). Reshape your data "
                         "using array.reshape(-1, 1) if it has a single unit")  # fmt: skip
    counts = validate_data(estimator, X, reset=reset, dtype=np.float64)
    return rows_as_samples(counts, getattr(estimator, "feature_names_in_", None))


def forget_features(estimator: Any) -> None:
    """Leave the estimator without the features of rows of counts."""
    for name in FEATURES:
        estimator.__dict__.pop(name, None)


@contextmanager
def features_as_before_on_failure(estimator: Any) -> Iterator[None]:
    """Context in which the estimator may take note of other features, which it forgets if anything fails."""
    before = {name: getattr(estimator, name) for name in FEATURES if hasattr(estimator, name)}
    try:
        yield
    except BaseException:
        forget_features(estimator)
        for name, value in before.items():
            setattr(estimator, name, value)
        raise


def aligned(X: Any, y: Any, given: RawInputs, leave_out: bool = True) -> tuple[Any, Any, RawInputs]:
    """Samples and ``y`` of raw inputs, as `alignment.pair` makes them, and what is still to be told of them.

    Samples and arrays of counts stay as they are.
    """
    if isinstance(X, SpikeSamples) or not holds_spikes(X):
        return X, y, given
    X, y = pair(X, y, given.session_id, given.behavior_name, given.epochs, leave_out=leave_out)
    return X, y, RawInputs(behavior_type=given.behavior_type, classes=given.classes)


def samples_and_targets(
    X: Any,
    y: Any,
    given: RawInputs,
    known: Mapping[str, Readout],
    labels: bool = False,
    leave_out: bool = True,
    fixed: bool = False,
) -> Targets:
    """Samples and their targets as columns, from samples or raw inputs; see `alignment.pair` and `targets.as_targets`.

    Raises
    ------
    ValueError
        Where lengths differ, targets are infinite or none is known.
    """
    X, y, given = aligned(X, y, given, leave_out)
    if given.session_id is not None or given.behavior_name is not None:
        raise ValueError("samples have their own session ids and behaviour names, and arrays of counts have none; "
                         "session_id= and behavior_name= are for sortings: give them to align")  # fmt: skip
    elif given.epochs is not None:
        raise ValueError("epochs= are for sortings with their behaviour: give them to align, or choose by X.times")
    if len(X) == 0:
        raise ValueError("X has 0 samples; expected at least one")
    return as_targets(X, y, given.behavior_type, known, labels, given.classes, fixed)


def check_sample_weight(sample_weight: Any, n_samples: int) -> np.ndarray:
    """Weights of the samples as an array, ones where None."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), one a sample, got {weight.shape}. Behaviour "
                         "outside the recording or epochs is no sample: align tells which are")  # fmt: skip
    if (weight < 0).any() or not weight.any():
        raise ValueError("sample_weight must not be negative and not all zero")
    return weight / weight.max()  # only their proportions count, and small ones would be lost in float32
