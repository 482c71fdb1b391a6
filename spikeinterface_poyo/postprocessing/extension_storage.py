"""An analyzer extension whose former result stays until the new one is complete.

SpikeInterface empties an extension's folder before it computes and deletes it when anything fails, Ctrl-C included.
What took long to train must not be lost so: here all work is done first, the result is written aside, and then moved
into place. Whenever the process is killed, the next load finds either the former result or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import zarr
from spikeinterface.core.sortinganalyzer import AnalyzerExtension


class KeptUntilReplaced(AnalyzerExtension):
    """Base of an extension that computes everything in memory and then replaces what is stored.

    A subclass checks all that a user may have got wrong in ``_set_params``, and does the work in ``_run``.
    """

    data: dict[str, Any]
    _computing = False  # from the start of a computation until its result is stored
    _writing_aside = False

    def set_params(self, save: bool = True, **params: Any) -> None:
        """Check and keep the parameters. Nothing stored is touched yet."""
        self._computing = True
        self.params = self._set_params(**params)

    def run(self, save: bool = True, **kwargs: Any) -> None:
        """Compute, then store."""
        started = perf_counter()
        self._run(**kwargs)
        self.run_info = {"run_completed": True, "runtime_s": perf_counter() - started}
        if save and not self.sorting_analyzer.is_read_only():
            self.save()
        self._computing = False

    def save(self) -> None:
        """Store parameters and data, in place of what was stored before."""
        # Arrays of a lazily loaded analyzer live in its files; a copy must not.
        self.data = {name: in_memory(value) for name, value in self.data.items()}
        if self.format == "memory":
            return
        with self._aside():
            self._save_params()
            self._save_importing_provenance()
            self._save_data()
            self._save_run_info()
        if self.format == "zarr":
            zarr.consolidate_metadata(self.sorting_analyzer._get_zarr_root().store)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Context in which all is written aside; at its end that takes the place of what is stored."""
        self._put_in_place()  # what a process that was killed had completed
        self._writing_aside = True
        try:
            yield
        except BaseException:
            self._discard_aside()
            raise
        finally:
            self._writing_aside = False
        former = self.sorting_analyzer.extensions.get(self.extension_name)
        if former is not None and former is not self:
            former._close_memmaps()  # Windows deletes no file that is open
        if self.format == "binary_folder":
            part, complete, _ = self._folders()
            os.replace(part, complete)  # from here on the new result counts
            part.parent.rmdir()
        else:
            root = self.sorting_analyzer._get_zarr_root(mode="r+")
            root[self._group_aside].attrs["complete"] = True  # likewise
        self._put_in_place()

    def _put_in_place(self) -> None:
        """Move a complete result, if there is one aside, to where it belongs."""
        if self.format == "binary_folder":
            _, complete, place = self._folders()
            if complete.is_dir():
                shutil.rmtree(place, ignore_errors=True)
                os.replace(complete, place)
            return
        root = self.sorting_analyzer._get_zarr_root(mode="r+")
        if self._group_aside in root and root[self._group_aside].attrs.get("complete"):
            place_in_root = f"extensions/{self.extension_name}"
            zarr.storage.rmdir(root.store, place_in_root)  # also what is left of a group that a kill half removed
            root.move(self._group_aside, place_in_root)

    def _folders(self) -> tuple[Path, Path, Path]:
        """Folders where a result is written, where it is when complete, and where it belongs.

        SpikeInterface lists the second, ``poyo_decoding.new``, as ``poyo_decoding`` too, and so finds it where a kill
        came before it was in place; the first it does not list.
        """
        place = super()._get_binary_extension_folder()
        return place.parent / f".{place.name}" / "part", place.parent / f"{place.name}.new", place

    @property
    def _group_aside(self) -> str:
        """Group of a Zarr store in which a result is written; it is outside the extensions that readers look at."""
        return f"{self.extension_name}_new"

    def _get_binary_extension_folder(self) -> Path:
        part, complete, place = self._folders()
        if self._writing_aside:
            return part
        return complete if complete.is_dir() else place  # a kill while the former result was being removed

    def _get_zarr_extension_group(self, mode: str = "r+") -> Any:
        if not Path(self.folder).is_dir():  # a remote store, which is read only
            return super()._get_zarr_extension_group(mode=mode)
        # Not by the consolidated metadata: a kill while the former result was being removed leaves them behind.
        root = zarr.open(str(self.folder), mode=mode)
        if self._writing_aside or (self._group_aside in root and root[self._group_aside].attrs.get("complete")):
            return root[self._group_aside]
        return root["extensions"][self.extension_name]

    def _reset_extension_folder(self) -> None:
        if not self._writing_aside:
            super()._reset_extension_folder()
        elif self.format == "binary_folder":
            self._discard_aside()
            self._get_binary_extension_folder().mkdir(parents=True)
        elif self.format == "zarr":
            root = self.sorting_analyzer._get_zarr_root(mode="r+")
            root.create_group(self._group_aside, overwrite=True)

    def _delete_extension_folder(self) -> None:
        if self._computing:
            # SpikeInterface is handling what ended the computation and would now delete the former result, and forget
            # it if it is in memory: raising the same exception from here takes it out of that handler.
            self._computing = False
            raise
        self._discard_aside()
        if self.format == "binary_folder":
            _, complete, place = self._folders()
            shutil.rmtree(complete, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
        else:
            super()._delete_extension_folder()

    def _discard_aside(self) -> None:
        if self.format == "binary_folder":
            shutil.rmtree(self._folders()[0].parent, ignore_errors=True)
        elif self.format == "zarr":
            root = self.sorting_analyzer._get_zarr_root(mode="r+")
            if self._group_aside in root:
                del root[self._group_aside]


def in_memory(value: Any) -> Any:
    """Arrays that live in files as arrays in memory; all else as it is."""
    return np.array(value[:]) if isinstance(value, (np.memmap, zarr.Array)) else value
