"""What a decoder has learned."""

from __future__ import annotations

from dataclasses import dataclass

from .network import POYO
from .vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Learned:
    """A network, and what the rows and columns of its tables mean."""

    network: POYO
    vocabulary: Vocabulary
