"""Pretrained weights that have a name: where they are, what they read, whom to cite, and what is not known of them.

No address here has been tried: each entry's ``source`` says who gives it.
"""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True)
class PretrainedEntry:
    """Pretrained weights that have a name.

    Parameters
    ----------
    name : str
        What to give as ``pretrained``.
    description : str
        What they are.
    inputs : str
        Which recordings they were trained on.
    outputs : str
        Which behaviour they read out.
    source : str
        Who says that the file is at ``address``.
    citation : str
        BibTeX of what to cite.
    licence : str, default: "unknown"
        Licence of the weights.
    address : str or None
        Address of the file; None where no public one is known.
    sha256 : str or None
        Hash of the file, in hexadecimal; None where it is unknown.
    how_to_obtain : str
        What to do where the address is unknown or fails.
    n_sessions, n_animals : int or None
        What they were trained on; None where it is unknown.
    """

    name: str
    description: str
    inputs: str
    outputs: str
    source: str
    citation: str
    licence: str = UNKNOWN
    address: str | None = None
    sha256: str | None = None
    how_to_obtain: str = ""
    n_sessions: int | None = None
    n_animals: int | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """What a user should know of a file and is not known of this one."""
        return (("licence",) if self.licence == UNKNOWN else ()) + (("SHA-256",) if self.sha256 is None else ())


POYO_CITATION = """\
@inproceedings{azabou2023unified,
  title = {A Unified, Scalable Framework for Neural Population Decoding},
  author = {Azabou, Mehdi and Arora, Vinam and Ganesh, Venkataramana and Mao, Ximeng and Nachimuthu, Santosh and
            Mendelson, Michael J. and Richards, Blake A. and Perich, Matthew G. and Lajoie, Guillaume and
            Dyer, Eva L.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {36},
  year = {2023},
  eprint = {2310.16046},
  archivePrefix = {arXiv}
}
"""

ENTRIES = (
    PretrainedEntry(
        name="poyo_mp",
        description="POYO-mp, the authors' model of many sessions of one laboratory: 11.7 million weights, embeddings "
        "not counted",
        inputs="units of motor cortex of monkeys that reach to targets (brainset perich_miller_population_2018); "
        "sessions and animals as in the list that torch_brain 0.1.0 trains it on",
        outputs="velocity of the cursor in two dimensions, divided by 20 (by torch_brain 0.1.0's configuration)",
        source="README of github.com/neuro-galaxy/poyo, 31 March 2025",
        citation=POYO_CITATION,
        address="https://torch-brain.s3.amazonaws.com/model-zoo/poyo_mp.ckpt",
        how_to_obtain="The README of github.com/neuro-galaxy/poyo has the authors' link.",
        n_sessions=99,
        n_animals=3,
    ),
    PretrainedEntry(
        name="poyo_1",
        description="POYO-1, the authors' model of several laboratories: 11.7 million weights, embeddings not counted",
        inputs="units of motor cortex of monkeys that reach to targets (brainsets perich_miller_population_2018, "
        "churchland_shenoy_neural_2012, odoherty_sabes_nonhuman_2017, flint_slutzky_accurate_2012); sessions and "
        "animals as in the paper's abstract",
        outputs="velocity of cursor or hand in two dimensions, divided by a number that depends on the brainset",
        source="tutorials of github.com/catalystneuro/dandi_torch_brain_tutorials, which download it from there; the "
        "authors' README of 31 March 2025 announces it without an address",
        citation=POYO_CITATION,
        address="https://nyu1.osn.mghpcc.org/brainsets-public/model-zoo/poyo_1.ckpt",
        how_to_obtain="Ask its authors at github.com/neuro-galaxy/torch_brain.",
        n_sessions=158,
        n_animals=7,
    ),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}


def list_pretrained() -> list[PretrainedEntry]:
    """Pretrained weights that `POYODecoder` knows by name.

    Returns
    -------
    list of PretrainedEntry
        Each with its name, address, licence, hash, what it was trained on, and whom to cite.

    Examples
    --------
    >>> from spikeinterface_poyo import list_pretrained
    >>> [entry.name for entry in list_pretrained()]
    ['poyo_mp', 'poyo_1']
    """
    return list(ENTRIES)
