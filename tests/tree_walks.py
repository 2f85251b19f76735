"""Volunteers who walk down a question tree one by one, for tests of what is done with their votes."""

from __future__ import annotations

import numpy as np

from galaxy_core.trees import GZ2, Tree


def walk(rng: np.random.Generator, tree: Tree, odds: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """The questions and answers of one volunteer, from the first question to the end."""
    key, given = tree.questions[0].key, []
    while key:
        answers = tree.by_key[key].answers
        answer = answers[rng.choice(len(answers), p=odds[key])]
        given.append((key, answer.key))
        key = answer.leads_to
    return given


def count_walks(tree: Tree = GZ2, n_galaxies: int = 12, n_volunteers: int = 40, seed: int = 0) -> np.ndarray:
    """Numbers of votes, (n_galaxies, n_answers); galaxy 0 is a star to everybody."""
    rng, counts = np.random.default_rng(seed), np.zeros((n_galaxies, tree.n_answers))
    for galaxy in range(n_galaxies):
        odds = {q.key: rng.dirichlet(np.full(len(q.answers), 0.7)) for q in tree.questions}
        if galaxy == 0:
            odds[tree.questions[0].key] = np.array([0.0, 0.0, 1.0])
        for _ in range(n_volunteers):
            for way in walk(rng, tree, odds):
                counts[galaxy, tree.index[way]] += 1
    return counts
