"""The tree of Galaxy Zoo 2: eleven questions with 37 answers.

Willett et al. 2013, MNRAS 435, 2835, figure 1 and table 2. Names are those of the newer releases
(``smooth-or-featured``); the numbers are those of the Kaggle challenge (``Class7.2``: question 7, second answer) and of
Hart et al. 2016, MNRAS 461, 3663 (``t07_..._a17_...``).
"""

from __future__ import annotations

from galaxy_core.trees.tree import Tree, make_question

GZ2 = Tree("gz2", "Galaxy Zoo 2", "Willett et al. 2013, MNRAS 435, 2835", (
    make_question(
        "smooth-or-featured", 1, "Smooth, or with features or a disk?", "",
        ("smooth", 1, "smooth", "how-rounded"),
        ("featured-or-disk", 2, "features or disk", "disk-edge-on"),
        ("artifact", 3, "star or artifact", ""),
    ),
    make_question(
        "how-rounded", 7, "How rounded is it?", "something-odd",
        ("round", 16, "completely round"), ("in-between", 17, "in between"), ("cigar", 18, "cigar shaped"),
    ),
    make_question(
        "disk-edge-on", 2, "A disk viewed edge-on?", "",
        ("yes", 4, "edge on", "bulge-shape"), ("no", 5, "not edge on", "bar"),
    ),
    make_question(
        "bulge-shape", 9, "A bulge at the centre, and what shape?", "something-odd",
        ("round", 25, "rounded"), ("boxy", 26, "boxy"), ("no-bulge", 27, "no bulge"),
    ),
    make_question("bar", 3, "A bar through the centre?", "has-spiral-arms", ("yes", 6, "bar"), ("no", 7, "no bar")),
    make_question(
        "has-spiral-arms", 4, "Any sign of spiral arms?", "",
        ("yes", 8, "spiral", "spiral-winding"), ("no", 9, "no spiral", "bulge-size"),
    ),
    make_question(
        "spiral-winding", 10, "How tightly wound are the arms?", "spiral-arm-count",
        ("tight", 28, "tight"), ("medium", 29, "medium"), ("loose", 30, "loose"),
    ),
    make_question(
        "spiral-arm-count", 11, "How many spiral arms?", "bulge-size",
        ("1", 31, "1"), ("2", 32, "2"), ("3", 33, "3"), ("4", 34, "4"),
        ("more-than-4", 36, "more than 4"), ("cant-tell", 37, "can't tell"),
    ),
    make_question(
        "bulge-size", 5, "How prominent is the central bulge?", "something-odd",
        ("dominant", 13, "dominant"), ("obvious", 12, "obvious"),
        ("just-noticeable", 11, "just noticeable"), ("no", 10, "no bulge"),
    ),
    make_question(
        "something-odd", 6, "Anything odd?", "",
        ("yes", 14, "something odd", "odd-feature"), ("no", 15, "nothing odd", ""),
    ),
    make_question(
        "odd-feature", 8, "What is odd?", "",
        ("ring", 19, "ring"), ("lens-or-arc", 20, "lens or arc"), ("disturbed", 21, "disturbed"),
        ("irregular", 22, "irregular"), ("other", 23, "other"), ("merger", 24, "merger"),
        ("dust-lane", 38, "dust lane"), released=False,
    ),
))  # fmt: skip
