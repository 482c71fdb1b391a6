"""What a fit is made of, as short plain data: equal for the same fit, whichever process does it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import __version__
from ..fitted.learned import Learned
from ..parameters import Parameters
from ..recognition import as_python
from ..sessions.session import Segment
from ..weights.digests import digest_of
from .examples import Examples

# Parameters that another process may give otherwise; the weights behind "pretrained" are compared themselves.
FREE = {"checkpoint", "device", "pretrained", "verbose"}
DIGITS = 12  # of a digest
SPIKES_TO_READ = 10_000  # of a segment, evenly spaced: sessions on disk are not to be read through


def fingerprint(decoder: Parameters, examples: Examples, base: Learned | None) -> dict[str, str]:
    """Parameters as text, and digests of the examples and of what training starts from, empty where that is drawn."""
    parameters = {name: plain(value) for name, value in decoder.get_params(deep=False).items()}
    return {name: value for name, value in parameters.items() if name not in FREE} | {
        "version": __version__,
        "data": digest_of_examples(examples),
        "weights": "" if base is None else digest_of_base(base),
    }


def plain(value: Any) -> str:
    """A parameter as text that says what it is, not where it is in memory."""
    if isinstance(value, np.random.RandomState):
        _, key, *rest = value.get_state(legacy=True)
        return f"RandomState {hashlib.sha256(np.asarray(key).tobytes()).hexdigest()[:DIGITS]} {rest}"
    if isinstance(value, (int, float, np.number)):  # 1 is 1.0, and False is 0
        return repr(float(value))
    if isinstance(value, Mapping):  # of labels to weights, in any order
        return str(sorted((repr(as_python(label)), plain(weight)) for label, weight in value.items()))
    return str(value)


def digest_of_examples(examples: Examples) -> str:
    """Digest of all labels, and of the number and a part of the spikes of each segment."""
    X = examples.X
    digest = hashlib.sha256(repr(sorted(examples.names.items())).encode())
    for array in (X.session_index, X.segment_index, X.times, examples.y, examples.weight):
        digest.update(np.ascontiguousarray(array).data)
    for position in sorted(examples.names):
        session = X.sessions[position]
        digest.update(repr((session.unit_names, session.isolated_rows, X.targets[position])).encode())
        for segment in session.segments:
            digest_segment(digest, segment)
    return digest.hexdigest()[:DIGITS]


def digest_segment(digest: Any, segment: Segment) -> None:
    """Add a segment."""
    n_spikes = len(segment.spike_times)
    digest.update(repr((n_spikes, segment.t_start, segment.t_stop)).encode())
    index = np.unique(np.linspace(0, n_spikes - 1, min(n_spikes, SPIKES_TO_READ)).astype(np.int64))
    for array in segment.take(index):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)


def digest_of_base(base: Learned) -> str:
    """Digest of weights, and of what their rows and columns mean."""
    return digest_of(base.vocabulary.to_json(), base.network.state_dict())[:DIGITS]
