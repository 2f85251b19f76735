"""The tree of Galaxy Zoo: CANDELS, which asks everybody who saw a galaxy about mergers and nobody about what is odd.

Simmons et al. 2017, MNRAS 464, 4420. The numbers of questions are those of its catalog
(``t16_merging_tidal_debris_a0_merging_frac``), which count from 0. In galaxy-datasets (``merging-candels_merger``) the
questions on the arrangement of clumps are missing.
"""

from __future__ import annotations

from galaxy_core.trees.hubble import clump_questions, disk_questions, first_questions
from galaxy_core.trees.tree import Tree, make_question

CANDELS = Tree("candels", "Galaxy Zoo: CANDELS", "Simmons et al. 2017, MNRAS 464, 4420", (
    *first_questions((0, 1), "merging"),
    *clump_questions((2, 3, 4, 5, 6, 7, 8), "merging", (True, True, False, False, False, False, False)),
    make_question(
        "disk-edge-on", 9, "A disk viewed edge-on?", "",
        ("yes", 1, "edge on", "edge-on-bulge"), ("no", 2, "not edge on", "bar"),
    ),
    make_question(
        "edge-on-bulge", 10, "A bulge at the centre?", "merging", ("yes", 1, "a bulge"), ("no", 2, "no bulge"),
    ),
    *disk_questions((11, 12, 13, 14), "A bar through the centre?"),
    make_question(
        "bulge-size", 15, "How prominent is the central bulge?", "merging",
        ("none", 1, "no bulge"), ("obvious", 2, "obvious"), ("dominant", 3, "dominant"),
    ),
    make_question(
        "merging", 16, "Merging, or tidal debris?", "",
        ("merger", 1, "merging"), ("tidal-debris", 2, "tidal debris"), ("both", 3, "both"), ("neither", 4, "neither"),
    ),
))  # fmt: skip
