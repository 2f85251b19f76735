"""Question trees as data: what each project asked, of whom, in which order; one project a file."""

from __future__ import annotations

from galaxy_core.trees.candels import CANDELS
from galaxy_core.trees.gz2 import GZ2
from galaxy_core.trees.hubble import HUBBLE
from galaxy_core.trees.tree import Answer, Question, Tree, Way, gates

TREES: dict[str, Tree] = {tree.key: tree for tree in (GZ2, HUBBLE, CANDELS)}

__all__ = ["CANDELS", "GZ2", "HUBBLE", "TREES", "Answer", "Question", "Tree", "Way", "gates"]
