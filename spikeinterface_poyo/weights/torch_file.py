"""What ``torch.save`` wrote, read without running any of it.

PyTorch's files are pickles in a zip archive, and a pickle is a program. Here the archive's checksums are verified
first, and of the pickle only tensors and plain data are accepted (``weights_only=True``), besides NumPy scalars.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

# Vocabularies of torch_brain 0.1 hold NumPy strings, and logged metrics may be NumPy numbers. What makes them again
# from bytes runs nothing else; NumPy 1 called the function's module otherwise.
_make_scalar = np.str_("").__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_make_scalar, "numpy.core.multiarray.scalar"),
    (_make_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    np.str_,
    *(type(np.dtype(kind)) for kind in ("U", "?", "i4", "i8", "f4", "f8")),
]
AGAIN = "Copy or download it again"
SAVE_PLAIN = ("If you trust it, load it where it was made and save only its 'state_dict' and 'hyper_parameters', as "
              "plain dicts (for instance by OmegaConf.to_container)")  # fmt: skip

TORCH_SUFFIXES = (".ckpt", ".pt", ".pth")  # by which what torch.save wrote is known


def load_plain(source: Path) -> Any:
    """Tensors, on the CPU, and plain data of a file.

    Raises
    ------
    ValueError
        Where it is damaged or holds anything else.
    """
    verify_archive(source)
    with safe_globals(NUMPY_SCALARS):
        try:
            refused = sorted(get_unsafe_globals_in_checkpoint(source))
            content = None if refused else torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:  # of many kinds, where the pickle was made by hand
            # PyTorch's message goes on to recommend to load it all the same.
            reason = re.split(r"\n|Please", str(error).split("WeightsUnpickler error:")[-1].strip())[0]
            raise ValueError("expected tensors and plain data, found a pickle of something else "
                             f"({type(error).__name__}: {reason}). {SAVE_PLAIN}") from error  # fmt: skip
    if "torch.nn.parameter.UninitializedParameter" in refused:
        raise ValueError("it was saved before its vocabularies were initialised: it has no embeddings. Save it later")
    if refused:
        names = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        raise ValueError(f"expected tensors and plain data, found {names}: making those would run code that the file "
                         f"names, so it was not loaded. {SAVE_PLAIN}")  # fmt: skip
    return content


def verify_archive(source: Path) -> None:
    """Raise ValueError unless the file is whole and of the kind that ``torch.save`` writes."""
    if not zipfile.is_zipfile(source):
        raise ValueError("expected the zip archive that torch.save writes (PyTorch >= 1.6), found another kind of file "
                         f"or only part of one. {AGAIN}")  # fmt: skip
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            damaged = None if packed else archive.testzip()
    except Exception as error:  # of many kinds, after where the damage is
        raise ValueError(f"its archive is damaged ({type(error).__name__}: {error}). {AGAIN}") from error
    if packed:  # a small file could then fill the memory
        raise ValueError("expected the zip archive that torch.save writes, found one with compressed entries")
    if damaged is not None:
        raise ValueError(f"it is damaged: the bytes of {damaged} do not match their checksum. {AGAIN}")
    if not any(entry.filename.endswith("/data.pkl") for entry in entries):
        raise ValueError("expected the zip archive that torch.save writes, found one without a data.pkl")
