"""Weights in and out of a decoder: our own files, torch_brain's checkpoints, addresses, model hubs."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from ..fitted.known_session import KnownSession
from ..fitted.learned import Learned, keep, learned_of, record_of
from ..fitted.record import TrainingRecord
from ..fitted.vocabulary import Vocabulary
from ..network.poyo import POYO
from ..paths import as_path, existing
from ..readouts.number_readouts import ContinuousReadout
from . import files, hub
from .fetching import locate, public_name
from .model_card import model_card
from .torch_brain_format import TorchBrainCheckpoint, read_checkpoint, write_checkpoint
from .torch_file import TORCH_SUFFIXES

if TYPE_CHECKING:
    from typing_extensions import Self


def load_pretrained(source: str | os.PathLike[str]) -> Learned:
    """Network and vocabulary of pretrained weights, from anywhere that `fetching.locate` knows.

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is nothing, or it is damaged or of another kind.
    """
    path = locate(source)
    if is_torch_file(path):
        return from_checkpoint(read_checkpoint(path), public_name(source))
    return files.read_learned(path)[0].as_start(public_name(source))


def lasting(source: str | os.PathLike[str]) -> str:
    """Pretrained weights by a name that holds in other working directories too."""
    path = existing(source)
    return str(source if path is None else path.absolute())


def is_torch_file(path: Path) -> bool:
    """Whether it is to be read as a checkpoint of torch_brain; a folder that was saved here may have any name."""
    return path.suffix.lower() in TORCH_SUFFIXES and not path.is_dir()


def from_checkpoint(checkpoint: TorchBrainCheckpoint, source: str | None) -> Learned:
    """torch_brain's weights, of that public name, with what is known of their sessions.

    Its checkpoints do not say what was read out; targets are taken to have been used as they are.
    """
    n_outputs = checkpoint.config.n_outputs
    mean, scale = (0.0,) * n_outputs, (1.0,) * n_outputs
    readout = ContinuousReadout(name="torch_brain", first_column=0, mean=mean, scale=scale)
    vocabulary = Vocabulary(readouts={readout.name: readout})
    for name, units in checkpoint.sessions.items():
        vocabulary.sessions[name] = KnownSession(
            unit_names=[unit.removeprefix(f"{name}/") for unit in units],
            first_unit_row=vocabulary.n_unit_rows,
            session_row=vocabulary.n_session_rows,
            sample_interval=None,
            clocks=[],
            isolated_rows=False,
            readouts=(readout.name,),
            by_name=False,
            silent_units=[],
            labelled_seconds=None,
        )
    network = POYO.fresh(checkpoint.config, vocabulary.n_unit_rows, vocabulary.n_session_rows)
    network.load_state_dict(checkpoint.state)
    return Learned(network.eval(), vocabulary).as_start(source, "torch_brain")


class PretrainedMixin:
    """How a decoder is saved, loaded and shared."""

    network_: POYO
    sessions_: Vocabulary
    # Known from weights that were loaded, not from a fit: `calibrate` must not test folds on them.
    _sessions_of_weights: Collection[str] = ()

    def __getstate__(self) -> dict[str, Any]:
        estimator: Any = super()  # scikit-learn's
        state = dict(estimator.__getstate__())
        if "network_" in state:  # so that a decoder trained on a GPU unpickles anywhere
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Save to a folder: weights as safetensors, the rest as JSON. Written aside, then moved into place.

        Parameters
        ----------
        folder : str or path
            Made where it does not exist; a decoder that is there stays whole until the new one is complete.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where ``folder`` is a file.
        OSError
            Where it cannot be written.
        """
        check_is_fitted(self, "network_")
        files.save(self, folder)

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike[str], device: str = "auto") -> Self:
        """A fitted decoder from weights; nothing is unpickled.

        It knows the sessions that the weights know; `fit` adapts the weights to others. Cross-validated on those it
        knows, every fold would start from weights that have seen what it is tested on: ``set_params(pretrained=None)``
        first.

        Parameters
        ----------
        source : str or path
            As the parameter ``pretrained``.
        device : str, default: "auto"
            As the parameter.

        Returns
        -------
        Self
            With ``source`` as its parameter ``pretrained``, a local one as an absolute path.

        Raises
        ------
        FileNotFoundError
            Where there is nothing of that name.
        ValueError, TypeError
            For files that are damaged or of another kind, or that would have to be unpickled; for what is no source.
        ConnectionError
            Where they cannot be downloaded.
        ImportError
            For a model hub's ``owner/name`` without huggingface_hub.
        """
        path = locate(source)
        if is_torch_file(path):
            decoder: Any = cls()
            keep(decoder, from_checkpoint(read_checkpoint(path), public_name(source)), TrainingRecord())
        else:
            decoder = files.load(cls, path)
        decoder._sessions_of_weights = list(decoder.sessions_.sessions)
        return decoder.set_params(pretrained=lasting(source), device=device)

    def to_torch_brain(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint for torch_brain's ``POYO.load_pretrained``.

        There a unit is called ``<session>/<unit>``, and targets are standardised: ``sessions_.readouts`` has their mean
        and scale.

        Parameters
        ----------
        path : str or path
            File to write, ``.ckpt``, ``.pt`` or ``.pth``.

        Raises
        ------
        ValueError
            For a causal decoder, which torch_brain cannot run, or another suffix than a checkpoint has.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "network_")
        if not os.fspath(path).lower().endswith(TORCH_SUFFIXES):
            raise ValueError(f"a checkpoint's name ends in {', '.join(TORCH_SUFFIXES)}; got {os.fspath(path)!r}")
        network, known = self.network_, self.sessions_.sessions
        units = {name: [f"{name}/{unit}" for unit in session.unit_names] for name, session in known.items()}
        write_checkpoint(as_path(path), network.config, network.state_dict(), units)

    def model_card(
        self, *, name: str | None = None, licence: str | None = None, data_licence: str | None = None,
        metrics: Mapping[str, float | str] | None = None,
    ) -> str:  # fmt: skip
        """What is known of the decoder, as the Markdown of a hub's ``README.md``.

        Parameters
        ----------
        name : str, optional
            Title of the card.
        licence, data_licence, metrics
            As in `push_to_hub`.

        Returns
        -------
        str
            The card: sessions, units, labelled time, weights that training started from, behaviours, network, metrics
            and licences; "not given" where they were not.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "network_")
        stages = record_of(self).stages
        return model_card(learned_of(self), name, licence, data_licence, metrics or {}, stages)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        licence: str | None = None,
        data_licence: str | None = None,
        metrics: Mapping[str, float | str] | None = None,
        private: bool = False,
        token: str | None = None,
    ) -> str:
        """Upload to the Hugging Face hub, with a model card; needs ``pip install 'spikeinterface_poyo[hub]'``.

        Names of sessions and units, and the parameters, become as visible as the repository is.

        Parameters
        ----------
        repo_id : str
            ``owner/name``.
        licence, data_licence : str, optional
            Licences of the weights and of the recordings that they were trained on, for the card.
        metrics : mapping of str to float or str, optional
            Scores for the card, by what they are.
        private : bool, default: False
            Whether a repository that is made is private.
        token : str, optional
            Access token; where omitted, the one you are logged in with.

        Returns
        -------
        str
            Address of the repository.

        Raises
        ------
        ValueError
            For a name that is none of a repository.
        NotFittedError
            Before `fit`.
        ImportError
            Without huggingface_hub.
        """
        check_is_fitted(self, "network_")
        with tempfile.TemporaryDirectory() as folder:
            files.save(self, folder)
            card = self.model_card(name=repo_id, licence=licence, data_licence=data_licence, metrics=metrics)
            Path(folder, hub.CARD).write_text(card, encoding="utf-8")
            return hub.push(folder, repo_id, private=private, token=token)
