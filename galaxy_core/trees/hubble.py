"""The tree of Galaxy Zoo: Hubble, which asks about clumps where Galaxy Zoo 2 goes straight to the disk.

Willett et al. 2017, MNRAS 464, 4176. The numbers of questions are those of its catalog
(``t12_clumpy_a01_yes_fraction``), where answers count from 1 in each; names of answers are those of galaxy-datasets
(``smooth-or-featured-hubble_features``), which releases none of the questions about how clumps are arranged, nor about
what is odd. A single clump needs no arrangement and two no more than a comparison, so these skip ahead.
"""

from __future__ import annotations

from galaxy_core.trees.tree import Question, Tree, make_question


def clump_questions(tasks: tuple[int, ...], last: str, released: tuple[bool, ...]) -> tuple[Question, ...]:
    """The seven questions about clumps that Hubble and CANDELS share.

    Parameters
    ----------
    tasks : tuple of int
        Their numbers: clumpy, count, arrangement, brightest, central, symmetrical, embedded.
    last : str
        The question every way through them ends at.
    released : tuple of bool
        Whether each is in the galaxy-datasets release.
    """
    rows = (
        ("clumpy-appearance", "Mostly clumpy?", "",
         ("yes", 1, "clumpy", "clump-count"), ("no", 2, "not clumpy", "disk-edge-on")),
        ("clump-count", "How many clumps?", "clump-configuration",
         ("1", 1, "1", "galaxy-symmetrical"), ("2", 2, "2", "one-clump-brightest"), ("3", 3, "3"), ("4", 4, "4"),
         ("5-plus", 5, "more than 4"), ("cant-tell", 6, "can't tell")),
        ("clump-configuration", "How are the clumps arranged?", "one-clump-brightest",
         ("straight-line", 1, "straight line"), ("chain", 2, "chain"),
         ("cluster-or-irregular", 3, "cluster or irregular"), ("spiral", 4, "spiral")),
        ("one-clump-brightest", "One clump clearly brighter?", "",
         ("yes", 1, "one is brighter", "brightest-clump-central"), ("no", 2, "none is", "galaxy-symmetrical")),
        ("brightest-clump-central", "Is the brightest clump central?", "",
         ("yes", 1, "central", "galaxy-symmetrical"), ("no", 2, "off the centre", last)),
        ("galaxy-symmetrical", "Is the galaxy symmetrical?", "clumps-embedded-larger-object",
         ("yes", 1, "symmetrical"), ("no", 2, "not symmetrical")),
        ("clumps-embedded-larger-object", "Clumps within a larger object?", last,
         ("yes", 1, "embedded"), ("no", 2, "on their own")),
    )  # fmt: skip
    return tuple(
        make_question(key, task, text, leads_to, *answers, released=out)
        for (key, text, leads_to, *answers), task, out in zip(rows, tasks, released, strict=True)
    )


def disk_questions(tasks: tuple[int, int, int, int], bar_text: str) -> tuple[Question, ...]:
    """Bar, arms, their winding and their number, which Hubble and CANDELS share."""
    bar, arms, winding, count = tasks
    return (
        make_question("bar", bar, bar_text, "has-spiral-arms", ("yes", 1, "bar"), ("no", 2, "no bar")),
        make_question(
            "has-spiral-arms", arms, "Any sign of spiral arms?", "",
            ("yes", 1, "spiral", "spiral-winding"), ("no", 2, "no spiral", "bulge-size"),
        ),
        make_question(
            "spiral-winding", winding, "How tightly wound are the arms?", "spiral-arm-count",
            ("tight", 1, "tight"), ("medium", 2, "medium"), ("loose", 3, "loose"),
        ),
        make_question(
            "spiral-arm-count", count, "How many spiral arms?", "bulge-size",
            ("1", 1, "1"), ("2", 2, "2"), ("3", 3, "3"), ("4", 4, "4"),
            ("5-plus", 5, "more than 4"), ("cant-tell", 6, "can't tell"),
        ),
    )  # fmt: skip


def first_questions(tasks: tuple[int, int], after_round: str) -> tuple[Question, ...]:
    """Smooth or featured, and how rounded, which Hubble and CANDELS share."""
    return (
        make_question(
            "smooth-or-featured", tasks[0], "Smooth, or with features or a disk?", "",
            ("smooth", 1, "smooth", "how-rounded"), ("features", 2, "features or disk", "clumpy-appearance"),
            ("artifact", 3, "star or artifact", ""),
        ),
        make_question(
            "how-rounded", tasks[1], "How rounded is it?", after_round,
            ("completely", 1, "completely round"), ("in-between", 2, "in between"), ("cigar-shaped", 3, "cigar shaped"),
        ),
    )  # fmt: skip


HUBBLE = Tree("hubble", "Galaxy Zoo: Hubble", "Willett et al. 2017, MNRAS 464, 4176", (
    *first_questions((1, 7), "something-odd"),
    *clump_questions((12, 16, 15, 13, 14, 17, 18), "something-odd", (True, True, False, False, False, True, True)),
    make_question(
        "disk-edge-on", 2, "A disk viewed edge-on?", "",
        ("yes", 1, "edge on", "bulge-shape"), ("no", 2, "not edge on", "bar"),
    ),
    make_question(
        "bulge-shape", 9, "A bulge at the centre, and what shape?", "something-odd",
        ("rounded", 1, "rounded"), ("boxy", 2, "boxy"), ("none", 3, "no bulge"),
    ),
    *disk_questions((3, 4, 10, 11), "A bar through the centre?"),
    make_question(
        "bulge-size", 5, "How prominent is the central bulge?", "something-odd",
        ("none", 1, "no bulge"), ("just-noticeable", 2, "just noticeable"),
        ("obvious", 3, "obvious"), ("dominant", 4, "dominant"),
    ),
    make_question(
        "something-odd", 6, "Anything odd?", "",
        ("yes", 1, "something odd", "odd-feature"), ("no", 2, "nothing odd", ""), released=False,
    ),
    make_question(
        "odd-feature", 8, "What is odd?", "",
        ("ring", 1, "ring"), ("lens-or-arc", 2, "lens or arc"), ("disturbed", 3, "disturbed"),
        ("irregular", 4, "irregular"), ("other", 5, "other"), ("merger", 6, "merger"),
        ("dust-lane", 7, "dust lane"), released=False,
    ),
))  # fmt: skip
