"""Make ``spikeinterface_poyo/data/mouse_head_direction.npz`` from the NWB file it comes from.

    python examples/benchmarks/make_mouse_head_direction.py A2929-200711.nwb

The wake part from 660 s on is kept: 670.64 s is when tracking starts. Three facts about the source make the file small,
and each is checked here: spike times are whole frames of a 20 kHz clock, heading times are whole tens of microseconds,
and neither ever goes back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

START = 660.0  # s
SAMPLING_FREQUENCY = 20_000  # Hz, the amplifier's clock
HEADING_TICKS = 1_000_000  # ticks a second of the stored heading times
TARGET = Path(__file__).parents[2] / "spikeinterface_poyo" / "data" / "mouse_head_direction.npz"


def to_ticks(times: np.ndarray, frequency: int, tolerance: float) -> np.ndarray:
    """Whole ticks of a clock, after a check that `times` (s) lie on its ticks to within `tolerance` (s)."""
    ticks = np.rint(times * frequency).astype(np.int64)
    worst = np.abs(ticks / frequency - times).max()
    if worst > tolerance:
        raise ValueError(f"times are up to {worst:.2e} s away from a {frequency} Hz clock, more than {tolerance:.0e} s")
    return ticks


def to_deltas(ticks: np.ndarray) -> np.ndarray:
    """First tick, then differences: small numbers that compress well."""
    return np.diff(ticks, prepend=0).astype(np.int32)


def read(nwb_file: Path) -> dict[str, np.ndarray]:
    """Arrays of the packaged file."""
    with h5py.File(nwb_file) as file:
        times = file["units/spike_times"][:]
        ends = file["units/spike_times_index"][:]
        location = file["units/location"].asstr()[:].astype("U")
        heading = file["acquisition/CompassDirection/ry/data"][:]
        heading_times = file["acquisition/CompassDirection/ry/timestamps"][:]
    trains = [train[train >= START] for train in np.split(times, ends[:-1])]
    frames = [to_ticks(train, SAMPLING_FREQUENCY, tolerance=1.01e-6) for train in trains]
    return {
        # unit after unit: each starts again from frame 0, so its first delta is an absolute frame
        "spike_deltas": np.concatenate([to_deltas(train) for train in frames]),
        "spike_counts": np.array([len(train) for train in frames], dtype=np.int32),
        "location": location,
        "sampling_frequency": np.array([SAMPLING_FREQUENCY], dtype=np.float64),
        "heading": heading.astype(np.float32),
        "heading_deltas": to_deltas(to_ticks(heading_times, HEADING_TICKS, tolerance=1e-9)),
        "heading_ticks": np.array([HEADING_TICKS], dtype=np.float64),
    }


def main() -> None:
    """Read the NWB file named on the command line and write the packaged file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nwb_file", type=Path)
    parser.add_argument("--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    np.savez_compressed(arguments.output, **read(arguments.nwb_file))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
