"""Files of downloaded weights: where they are kept, under which names, and whether they are whole."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote

import safetensors

from ..paths import as_path
from . import files
from .torch_file import TORCH_SUFFIXES, load_plain, verify_archive

CACHE_VARIABLE = "SPIKEINTERFACE_POYO_CACHE"
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)  # by which the loader knows the format
BLOCK = 1 << 18  # bytes read at once


def cache_folder() -> Path:
    """Folder of downloaded weights: ``SPIKEINTERFACE_POYO_CACHE``, or one in the platform's folder for caches."""
    if given := os.environ.get(CACHE_VARIABLE):
        return as_path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spikeinterface_poyo"


def cached_name(url: SplitResult) -> str:
    """Name in the cache: unique to the address, and the file's own name with its suffix."""
    name = re.sub(r"[^\w.-]", "_", unquote(url.path).rpartition("/")[2], flags=re.ASCII)
    return f"{hashlib.sha256(url.geturl().encode()).hexdigest()[:16]}-{name[-80:]}"


def make_writable(folder: Path) -> None:
    """Make the cache folder.

    Raises
    ------
    OSError
        Where it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise OSError(f"downloads are kept in {folder}, which cannot be written to; "
                      f"set the environment variable {CACHE_VARIABLE} to a folder that can")  # fmt: skip


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_good(file: Path, sha256: str | None) -> bool:
    """Whether the file is there and whole, with that hash if one is given."""
    if not file.is_file():
        return False
    if sha256 is not None:
        return sha256_of(file) == sha256
    try:
        verify_format(file, file.suffix, arrived=False)
    except ValueError:
        return False
    return True


def verify_format(file: Path, suffix: str, arrived: bool = True) -> None:
    """Raise ValueError unless a file is whole, as far as it tells, and of the format that ``suffix`` stands for.

    What torch wrote is looked into where it has just ``arrived``.
    """
    if suffix.lower() != ".safetensors":
        (load_plain if arrived else verify_archive)(file)
        return
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            is_ours = "description" in (opened.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ValueError(f"expected a safetensors file, found something else or part of one ({error})") from error
    if not is_ours:
        raise ValueError("expected a file that save_pretrained wrote, found one that does not say what its weights are")
    with suppress(files.NewerFormatError):  # that is for the loader to say
        files.read(file)  # which compares the contents with their digest
