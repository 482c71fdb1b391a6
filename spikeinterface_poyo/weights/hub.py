"""Decoders on a model hub, through huggingface_hub (the extra ``hub``)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

from ..extras import needed
from .files import DESCRIPTION, WEIGHTS, weights_file

CARD = "README.md"


def is_repo(source: str) -> bool:
    """Whether a string has the form ``owner/name`` or ``owner/name@revision``."""
    word = r"[A-Za-z0-9][\w.-]*"
    return re.fullmatch(rf"{word}/{word}(@[^@\s]+)?", source, flags=re.ASCII) is not None


def split_revision(source: str) -> tuple[str, str | None]:
    """``owner/name`` and the revision (branch, tag or commit), if one is given."""
    repo_id, _, revision = source.partition("@")
    return repo_id, revision or None


def hub_library(purpose: str) -> ModuleType:
    """huggingface_hub.

    Raises
    ------
    ImportError
        Where it is not installed; ``purpose`` says what it is needed for.
    """
    with needed("hub", purpose):
        import huggingface_hub.errors
    return huggingface_hub


def download(repo_id: str, revision: str | None = None) -> Path:
    """Folder of a decoder from the model hub, in huggingface_hub's own cache; used from there when it is offline.

    Only the description, weights as safetensors and the model card are downloaded, whatever else there is.

    Parameters
    ----------
    repo_id : str
        ``owner/name``.
    revision : str or None
        Branch, tag or commit; None is the newest of the main branch.

    Raises
    ------
    FileNotFoundError
        Where the hub has no such repository or revision for you, or it holds no decoder.
    ConnectionError
        Where the hub cannot be reached and the cache does not have it.
    PermissionError
        Where the cache, which does not have it, cannot be written to.
    ValueError
        Where the hub does not take such names.
    ImportError
        Without huggingface_hub.
    """
    what = repo_id if revision is None else f"{repo_id}@{revision}"
    hub = hub_library(f"there is no file or folder {what!r} here; to look for it on the model hub")
    wanted = [DESCRIPTION, WEIGHTS, CARD]
    try:
        folder = Path(hub.snapshot_download(repo_id, revision=revision, allow_patterns=wanted))
    except hub.errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(f"there is no file or folder {what!r} here, and no such repository on the hub, or "
                                "one that is not yours to read: see `hf auth login`") from error  # fmt: skip
    except hub.errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"the model hub's {repo_id} has no revision {revision!r}") from error
    except (hub.errors.HFValidationError, PermissionError):  # they say what is wrong with the name, or the cache
        raise
    except Exception as error:  # of types that depend on the library's version and on what it speaks HTTP with
        raise ConnectionError(f"cannot download {what} from the model hub: {type(error).__name__}: {error}") from error
    if weights_file(folder) is None:
        raise FileNotFoundError(f"the model hub's {what} holds no decoder that save_pretrained wrote ({DESCRIPTION} "
                                "and the weights it names); a torch_brain checkpoint there can be given by its file's "
                                "https:// address")  # fmt: skip
    return folder


def push(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload a decoder that `save_pretrained` wrote to the model hub.

    Three files leave this machine and no others: ``decoder.json``, the weights it names, and ``README.md`` if there is
    one. ``decoder.json`` holds the sessions' and units' names, the parameters (without paths) and versions: look at it
    first. Weights of older decoders in the repository are removed from its newest revision.

    Parameters
    ----------
    folder : str or path
        Folder of the decoder.
    repo_id : str
        ``owner/name``; made if it does not exist.
    private : bool, default: False
        Whether only you and yours can see it, for a repository that is made. One that exists stays as it is.
    token : str or None
        Access token; None takes the one of ``hf auth login``.

    Returns
    -------
    str
        Address of the repository.

    Raises
    ------
    FileNotFoundError
        Where the folder holds no decoder.
    ValueError
        Where ``repo_id`` is no ``owner/name``.
    ImportError
        Without huggingface_hub.
    """
    folder = Path(folder)
    weights = weights_file(folder)
    if weights is None:
        raise FileNotFoundError(f"{folder} is no saved decoder: save_pretrained writes {DESCRIPTION} and its weights")
    if not is_repo(repo_id) or "@" in repo_id:
        raise ValueError(f"repo_id must be 'owner/name'; got {repo_id!r}")
    hub = hub_library("uploading to the model hub")
    address = hub.create_repo(repo_id, private=private, token=token, exist_ok=True)
    hub.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        token=token,
        commit_message="Upload decoder",
        allow_patterns=[DESCRIPTION, weights.name, CARD],
        delete_patterns=WEIGHTS,
    )
    return str(address)
