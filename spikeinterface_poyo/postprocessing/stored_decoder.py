"""The decoder of an analyzer's extension: what a user gives, and what of it is kept in the extension's parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from ..classifier import POYOClassifier
from ..decoder.base import BasePOYO
from ..estimator import POYODecoder
from ..network.device import find_device
from ..parameters import check_parameters
from ..paths import is_path
from ..weights.digests import plain_number
from ..weights.files import plain_parameters, plain_seed
from ..weights.pretrained import lasting, load_pretrained


def make_decoder(given: Any, random_state: int, labels: bool) -> tuple[Any, BasePOYO]:
    """What is kept of ``decoder=`` in the parameters, as JSON, and the decoder to clone, a classifier for labels.

    Raises
    ------
    TypeError, ValueError
        Where it is none or of the wrong kind, or has parameters that are out of range or cannot be written down.
    """
    kind = POYOClassifier if labels else POYODecoder
    kept: Any = None
    if given is None:
        decoder: BasePOYO = kind()
    elif is_path(given):
        kept = lasting(given)
        decoder = kind(pretrained=kept)
    elif isinstance(given, BasePOYO) and not isinstance(given, kind):
        raise ValueError(f"the behaviour is labels, which {kind.__name__} decodes; got decoder={type(given).__name__}")
    elif isinstance(given, (BasePOYO, Mapping)):
        decoder = with_parameters(kind, dict(given) if isinstance(given, Mapping) else given.get_params())
        kept = changed_parameters(decoder)
    else:
        raise TypeError(f"decoder must be a {kind.__name__}, a dict of its parameters, pretrained weights by name or "
                        f"path, or None; got {type(given).__name__}")  # fmt: skip
    if decoder.random_state is None:  # comparisons are of the same decoder
        decoder.random_state = random_state
    check_parameters(decoder)
    find_device(decoder.device)
    if decoder.pretrained is not None:
        load_pretrained(decoder.pretrained)
    return kept, clone(decoder)


def with_parameters(kind: type[BasePOYO], parameters: dict[str, Any]) -> BasePOYO:
    """A decoder with these parameters, also such as `changed_parameters` keeps.

    Raises
    ------
    ValueError
        Where there are no such parameters, or the random state cannot be kept.
    """
    if parameters.get("random_state") is not None and plain_seed(parameters["random_state"]) is None:
        raise ValueError(f"random_state of the decoder must be an integer or None to be kept, got "
                         f"{parameters['random_state']!r}")  # fmt: skip
    weights = parameters.get("class_weight")
    if isinstance(weights, list) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in weights):
        parameters = parameters | {"class_weight": dict(weights)}
    known = kind().get_params()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"decoder has unknown parameters {unknown}; {kind.__name__} has {sorted(known)}")
    decoder = kind(**parameters | {"checkpoint": None})  # that is a file of one fit; here are several
    if decoder.pretrained is not None:
        decoder.pretrained = lasting(decoder.pretrained)
    return decoder


def changed_parameters(decoder: BasePOYO) -> dict[str, Any]:
    """Parameters that are not the defaults, as JSON holds them.

    Raises
    ------
    TypeError
        Where it cannot.
    """
    default = type(decoder)().get_params()
    plain = plain_parameters(decoder) | {"pretrained": decoder.pretrained}
    kept = {name: value for name, value in plain.items() if value != default[name]}
    try:
        json.dumps(kept, default=plain_number)
    except TypeError as error:
        raise TypeError(f"parameters of the decoder are kept as JSON, and {error}") from error
    return kept
