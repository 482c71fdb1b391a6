"""Writes ``data/torch_brain_012.ckpt`` and ``data/torch_brain_012.npz``: a checkpoint made the way published ones were.

torch_brain 0.1.2 trains a small POYO with PyTorch Lightning for a few steps; the checkpoint is Lightning's own, with
optimizer, scheduler and callback states, the whole configuration as hyper-parameters and NumPy strings as words. The
other file holds spikes and query times, and what torch_brain 0.1.2 predicts there.

torch_brain 0.1.2 cannot be installed beside the version that the tests compare with. In an environment of its own:

    python -m venv .venv-012
    .venv-012/bin/pip install torch==2.13.0 torch_brain==0.1.2 lightning==2.6.6
    .venv-012/bin/python tests/make_torch_brain_012_checkpoint.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# torch_brain 0.1.2 and Lightning are imported where they are used: pytest imports this file to look for doctests.

FOLDER = Path(__file__).parent / "data"
SESSIONS = {"perich/c_20131003": 5, "perich/t_20130819": 3, "odoherty/indy_20160407": 6}  # number of units
ARGUMENTS = {
    "sequence_length": 1.0,
    "latent_step": 0.25,
    "num_latents_per_step": 2,
    "dim": 8,
    "depth": 1,
    "dim_head": 8,
    "cross_heads": 1,
    "self_heads": 2,
    "ffn_dropout": 0.1,
    "lin_dropout": 0.3,
    "atn_dropout": 0.2,
}
N_QUERIES, N_STEPS, BATCH_SIZE = 25, 6, 4
READOUT = "cursor_velocity_2d"


def unit_words(session: str) -> np.ndarray:
    """Words as torch_brain 0.1's ``Dataset.get_unit_ids`` makes them: elements of it are NumPy strings."""
    return np.strings.add(f"{session}/", np.array([f"group_{i % 2}/unit_{i}" for i in range(SESSIONS[session])]))


def draw_window(session: str, rng: np.random.Generator) -> Any:
    """One second of a session as torch_brain's ``Data``: a few spikes of each unit but the last, and a velocity."""
    from temporaldata import ArrayDict, Data, Interval, IrregularTimeSeries

    whole = Interval(0.0, 1.0)
    n_spikes = int(rng.integers(20, 60))
    query_time = np.sort(rng.uniform(0, 1, N_QUERIES))
    return Data(
        spikes=IrregularTimeSeries(
            timestamps=np.sort(rng.uniform(0, 1, n_spikes)),
            unit_index=rng.integers(0, SESSIONS[session] - 1, n_spikes),
            domain=whole,
        ),
        cursor=IrregularTimeSeries(
            timestamps=query_time,
            vel=np.column_stack([np.sin(6 * query_time), np.cos(9 * query_time)]),
            domain=whole,
        ),
        units=ArrayDict(id=unit_words(session)),
        session=Data(id=session, domain=whole),
        config={"readout": {"readout_id": READOUT}},
        domain=whole,
    )


def single_precision(inputs: dict[str, Any]) -> dict[str, Any]:
    """Model inputs as the published models were trained on."""
    return {name: value.float() if value.is_floating_point() else value for name, value in inputs.items()}


def make_model() -> Any:
    """A fresh model. Its words are shuffled, so that rows of one session do not follow each other."""
    import torch_brain
    from torch_brain.models import POYO

    # Hyper-parameters of published checkpoints do not state t_max: that it is not the default, only the buffer tells.
    readout = torch_brain.MODALITY_REGISTRY[READOUT]
    # Embeddings as large as long training makes them, so that predictions depend on spikes and times.
    model = POYO(readout_spec=readout, t_max=4.0, emb_init_scale=1.0, **ARGUMENTS)
    words = [word for session in SESSIONS for word in unit_words(session)]
    order = np.random.default_rng(1).permutation(len(words))
    model.unit_emb.initialize_vocab([words[i] for i in order])
    model.session_emb.initialize_vocab(sorted(SESSIONS))
    return model


def make_trainer_module(model: Any) -> Any:
    """A training module like that of torch_brain 0.1.2's example, in short."""
    import lightning
    import torch

    class TrainWrapper(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.save_hyperparameters(
                {
                    "model": {"_target_": "torch_brain.models.POYO", **ARGUMENTS},
                    "dataset": [{"selection": [{"brainset": "perich"}], "config": {"readout": {"weights": None}}}],
                    "optim": {"base_lr": 2.5e-3, "weight_decay": 1e-2, "lr_decay_start": 0.5},
                    "batch_size": BATCH_SIZE,
                    "epochs": 1,
                    "seed": 42,
                    "wandb": {"enable": False, "run_name": None},
                    "ckpt_path": None,
                }
            )

        def training_step(self, batch: dict[str, Any]) -> Any:
            difference = self.model(**single_precision(batch["model_inputs"])) - batch["target_values"]
            loss = difference[batch["model_inputs"]["output_mask"]].square().mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> dict[str, Any]:
            # Instead of SparseLamb, whose states would double the size of the file.
            optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2, momentum=0.9)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, max_lr=1e-2, total_steps=N_STEPS, pct_start=0.5, div_factor=1
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return TrainWrapper()


def train_and_save(model: Any, path: Path) -> None:
    """Train for a few steps and have Lightning save everything."""
    import lightning
    import torch
    from lightning.pytorch.callbacks import EarlyStopping
    from torch_brain.data import collate

    rng = np.random.default_rng(2)
    drawn = [draw_window(list(SESSIONS)[i % len(SESSIONS)], rng) for i in range(N_STEPS * BATCH_SIZE)]
    loader = torch.utils.data.DataLoader(
        [model.tokenize(window) for window in drawn], batch_size=BATCH_SIZE, collate_fn=collate
    )
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        callbacks=[EarlyStopping("train_loss")],
        enable_checkpointing=False,  # its callback's state would hold the path of this folder
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(make_trainer_module(model), loader)
    trainer.save_checkpoint(path)


def save_predictions(model: Any, path: Path) -> None:
    """One window a session: spikes by unit word, query times, and what the model predicts there."""
    import torch
    from torch_brain.data import collate

    rng = np.random.default_rng(3)
    windows = [draw_window(session, rng) for session in SESSIONS]
    inputs = single_precision(collate([model.tokenize(window) for window in windows])["model_inputs"])
    with torch.no_grad():
        predicted = model.eval()(**inputs)[:, :N_QUERIES]
    np.savez_compressed(
        path,
        session=np.array(list(SESSIONS)),
        query_time=np.stack([window.cursor.timestamps for window in windows]),
        predicted=predicted.numpy(),
        **{f"spike_time_{i}": window.spikes.timestamps for i, window in enumerate(windows)},
        **{f"spike_unit_{i}": window.spikes.unit_index for i, window in enumerate(windows)},
        **{f"units_{i}": window.units.id for i, window in enumerate(windows)},
    )


def main() -> None:
    """Write both files."""
    import torch

    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    model = make_model()
    train_and_save(model, FOLDER / "torch_brain_012.ckpt")
    save_predictions(model, FOLDER / "torch_brain_012.npz")


if __name__ == "__main__":
    main()
