"""What was computed before stays until the new result is complete, whatever ends a computation, and whenever."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from analyzers import QUICK, SMALL, T_START, make_analyzer, make_recording
from spikeinterface.core import load_sorting_analyzer

from spikeinterface_poyo.postprocessing.extension import ComputePOYODecoding

FORMATS = ["memory", "binary_folder", "zarr"]
ON_DISK = ["binary_folder", "zarr"]
ENDLESS = {**QUICK, "decoder": {**SMALL, "max_iter": 100_000}}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The extractor is not serializable"),
    pytest.mark.usefixtures("brief_training"),
]


@pytest.fixture(scope="module")
def behavior(simulate):
    simulated = simulate(n_units=3, duration=16.0)
    return simulated.times + T_START, simulated.values


@pytest.fixture(scope="module")
def recorded(simulate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording") / "recording"
    return make_recording(folder, simulate(n_units=3, duration=16.0), 16.0)


@pytest.fixture(scope="module")
def originals(recorded, behavior, tmp_path_factory):
    """An analyzer of each format with the extension."""
    memory = make_analyzer(*recorded, "memory", None)
    memory.compute("poyo_decoding", behavior=behavior, importance=False, **QUICK)
    folders = {format: tmp_path_factory.mktemp(format) for format in ON_DISK}
    return {
        "memory": memory,
        "binary_folder": memory.save_as(format="binary_folder", folder=folders["binary_folder"] / "analyzer"),
        "zarr": memory.save_as(format="zarr", folder=folders["zarr"] / "analyzer.zarr"),
    }


@pytest.fixture
def analyzer(request, originals, tmp_path):
    """A copy that a test may spoil."""
    original = originals[request.param]
    if request.param == "memory":
        return original.save_as(format="memory")
    return load_sorting_analyzer(Path(shutil.copytree(original.folder, tmp_path / original.folder.name)))


def assert_former_result_is_there(analyzer, originals):
    """In memory, and where the analyzer is on disk, also for who loads it anew; nothing else is left there."""
    former = originals[analyzer.format].get_extension("poyo_decoding").data["decoded"]
    np.testing.assert_array_equal(analyzer.get_extension("poyo_decoding").data["decoded"], former)
    if analyzer.format != "memory":
        extension = load_sorting_analyzer(analyzer.folder).get_extension("poyo_decoding")
        np.testing.assert_array_equal(extension.data["decoded"], former)
        assert np.isfinite(extension.get_decoder().predict(analyzer)).all()
        left = {path.name for path in (analyzer.folder / "extensions").iterdir()} | set(os.listdir(analyzer.folder))
        assert not {name for name in left if "poyo" in name} - {"poyo_decoding"}


@pytest.mark.parametrize("analyzer", FORMATS, indirect=True)
def test_a_call_that_is_refused(analyzer, originals):
    with pytest.raises(ValueError, match="n_folds"):
        analyzer.compute("poyo_decoding", behavior=(np.arange(100.0, 116), np.ones(16)), n_folds=1)
    assert_former_result_is_there(analyzer, originals)


@pytest.mark.parametrize("analyzer", FORMATS, indirect=True)
def test_an_error_in_training(analyzer, originals, behavior):
    far_too_fast = {**QUICK, "decoder": {**SMALL, "learning_rate_init": 1e30}}
    with pytest.raises(ValueError, match="the training loss became"):
        analyzer.compute("poyo_decoding", behavior=behavior, **far_too_fast)
    assert_former_result_is_there(analyzer, originals)


@pytest.mark.parametrize("analyzer", FORMATS, indirect=True)
def test_ctrl_c_in_training(analyzer, originals, behavior):
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        analyzer.compute("poyo_decoding", behavior=behavior, **ENDLESS)
    assert_former_result_is_there(analyzer, originals)


def test_one_kill_in_training(originals, behavior, tmp_path):
    folders = [shutil.copytree(originals[f].folder, tmp_path / originals[f].folder.name) for f in ON_DISK]
    np.savez(tmp_path / "behavior.npz", times=behavior[0], values=behavior[1])
    code = f"""
import threading, warnings
from spikeinterface.core import load_sorting_analyzer
import spikeinterface_poyo
warnings.simplefilter("ignore")
from spikeinterface_poyo.training import loop
step, started = loop.training_step, []
def told(*args):
    if not started:
        started.append(print("training", flush=True))
    return step(*args)
loop.training_step = told
for folder in {[str(folder) for folder in folders]!r}:
    compute = load_sorting_analyzer(folder).compute
    threading.Thread(target=compute, args=["poyo_decoding"], daemon=True,
                     kwargs=dict(behavior={str(tmp_path / "behavior.npz")!r}, **{ENDLESS!r})).start()
threading.Event().wait()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    assert first.startswith("training")
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    for folder in folders:
        assert_former_result_is_there(load_sorting_analyzer(folder), originals)


def killed_at(event: int, action) -> bool:
    """Whether a forked child was killed at its ``event``-th call that touches files, rather than done before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads; the child does not compute
        child = os.fork()
    if child == 0:
        seen = [0]

        def hook(name: str, _: object) -> None:
            if name in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
                seen[0] += 1
                if seen[0] > event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writer is killed in a forked process")
@pytest.mark.parametrize("format", ON_DISK)
def test_a_kill_at_any_time_of_the_final_write(originals, format, tmp_path):
    original = originals[format]
    stride = 4 if format == "binary_folder" else 60  # Zarr touches many more files
    found = []
    for event in range(0, 10_000, stride):
        folder = Path(shutil.copytree(original.folder, tmp_path / f"{event}{original.folder.suffix}"))
        analyzer = load_sorting_analyzer(folder)
        extension = analyzer.get_extension("poyo_decoding")
        former = extension.data["decoded"]
        extension.data["decoded"] = former + 1
        was_killed = killed_at(event, extension.save)
        for lazy in (False, True):
            reader = load_sorting_analyzer(folder, lazy=lazy)
            loaded = reader.get_extension("poyo_decoding")
            is_new = np.array_equal(loaded.data["decoded"][:], former + 1)
            assert is_new or np.array_equal(loaded.data["decoded"][:], former)
            assert set(loaded.data) == set(extension.data)
            np.testing.assert_array_equal(loaded.data["decoder"][:], extension.data["decoder"])
        found.append(is_new)
        if event % (5 * stride) == 0 or not was_killed:  # whoever saves next finishes what was begun, and replaces it
            loaded.data["decoded"] = former + 2
            loaded.save()
            reader = load_sorting_analyzer(folder)
            again = reader.get_extension("poyo_decoding")
            np.testing.assert_array_equal(again.data["decoded"], former + 2)
        if not was_killed:
            break
    assert len(found) > 5
    assert not found[0]
    assert found[-1]
    assert found == sorted(found)  # the former result until some time, the new one from then on


@pytest.mark.parametrize("analyzer", ON_DISK, indirect=True)
def test_deleting(analyzer):
    analyzer.delete_extension("poyo_decoding")
    assert not analyzer.has_extension("poyo_decoding")
    assert not load_sorting_analyzer(analyzer.folder).has_extension("poyo_decoding")


def test_deleting_what_a_kill_kept_from_its_place(originals, tmp_path):
    folder = Path(shutil.copytree(originals["binary_folder"].folder, tmp_path / "analyzer"))
    (folder / "extensions" / "poyo_decoding").rename(folder / "extensions" / "poyo_decoding.new")
    analyzer = load_sorting_analyzer(folder)
    assert analyzer.has_extension("poyo_decoding")
    analyzer.delete_extension("poyo_decoding")
    assert not load_sorting_analyzer(folder).has_extension("poyo_decoding")


@pytest.mark.parametrize("analyzer", FORMATS, indirect=True)
def test_without_saving(analyzer, behavior, originals):
    extension = analyzer.compute("poyo_decoding", save=False, behavior=behavior, importance=False,
                                 **{**QUICK, "n_folds": 3})  # fmt: skip
    assert analyzer.get_extension("poyo_decoding") is extension
    assert len(extension.data["fold_r2"]) == 3
    if analyzer.format != "memory":
        assert_former_result_is_there(load_sorting_analyzer(analyzer.folder), originals)


def test_read_only(originals, behavior):
    folder = originals["zarr"].folder
    analyzer = load_sorting_analyzer(folder, read_only=True)
    analyzer.compute("poyo_decoding", behavior=behavior, importance=False, **{**QUICK, "n_folds": 3})
    assert len(load_sorting_analyzer(folder).get_extension("poyo_decoding").data["fold_r2"]) == 2


@pytest.mark.parametrize(("read_only", "saved"), [(False, 1), (True, 0)])
def test_of_a_read_only_analyzer_the_result_stays_in_memory(monkeypatch, read_only, saved):
    extension, saves = object.__new__(ComputePOYODecoding), []
    extension._sorting_analyzer = lambda: SimpleNamespace(is_read_only=lambda: read_only)
    monkeypatch.setattr(ComputePOYODecoding, "_run", lambda self, **_: setattr(self, "data", {"r2": 1.0}))
    monkeypatch.setattr(ComputePOYODecoding, "save", lambda self: saves.append(None))
    extension.run()
    assert extension.data == {"r2": 1.0}
    assert extension.run_info["run_completed"]
    assert len(saves) == saved
