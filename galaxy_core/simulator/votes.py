"""Galaxy-Zoo-like votes: what volunteers would answer about a galaxy, from what it is made of.

Each of about forty volunteers walks down the question tree of Galaxy Zoo 2 (Willett et al. 2013, MNRAS 435, 2835), so a
question is asked only of those whose earlier answers lead to it. What they answer is chance, with odds set by the
parameters: an arm is less seen when it is weak, small or blurred.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.galaxy_zoo import QUESTIONS, gates
from galaxy_core.simulator.parameters import VOTE_STREAM, GalaxyParameters, stream

# question: (answers, the earlier answers that lead to it; none when everybody is asked)
TREE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    question.key: (
        tuple(answer.key for answer in question.answers),
        tuple(f"{earlier}_{answer}" for earlier, answer in gates(question.key)),
    )
    for question in QUESTIONS
}
ANSWER_COLUMNS = tuple(f"{question}_{answer}_fraction" for question, (answers, _) in TREE.items() for answer in answers)


def _share(*odds: float) -> np.ndarray:
    """Probabilities in proportion to the odds."""
    values = np.maximum(np.array(odds, float), 1e-6)
    return values / values.sum()


def _near(value: float, centers: tuple[float, ...], width: float) -> np.ndarray:
    """Probabilities of ordered answers, by how near each one's typical value is."""
    return _share(*np.exp(-0.5 * ((value - np.array(centers)) / width) ** 2))


def answer_odds(parameters: GalaxyParameters) -> dict[str, np.ndarray]:
    """Probability of each answer to each question, given that it is asked."""
    p = parameters
    edge_on, has_disc = p.disc_height_arcsec > 0, p.disc_scale_arcsec > 0
    sharp = 1 / (1 + (2.2 * p.seeing_fwhm_arcsec / p.r90_arcsec) ** 4)  # features blurred away when small
    arms = sharp * p.arm_strength if p.n_arms else 0.0
    thin = 1 / (1 + (p.axis_ratio / 0.27) ** 10) if not has_disc else 0.0
    features = 0.93 if edge_on else 0.55 + 0.4 * arms if has_disc else 0.05 + 0.12 * thin
    bulge = p.bulge_fraction + 0.5 * p.bar_fraction
    disturbed = p.tail_fraction + 0.3 * p.companion_fraction
    odd = float(np.clip(0.05 + 3 * disturbed + 1.5 * p.ring_fraction + 0.06 * p.dust_depth * edge_on, 0, 0.95))
    counts = np.full(6, 0.04)
    counts[min(p.n_arms, 5) - 1 if p.n_arms else 5] += 0.2 + arms
    counts[5] += 0.5 * (1 - arms)
    return {
        "smooth-or-featured": _share(1 - features, features, 0.01),
        "how-rounded": _near(p.axis_ratio, (0.95, 0.58, 0.20), 0.14),
        "disk-edge-on": _share(0.92, 0.08) if edge_on else _share(thin + 0.04, 1),
        "bulge-shape": _share(p.bulge_fraction + 0.1, 0.08, 0.45 - p.bulge_fraction),
        "bar": _share(0.06 + 5.0 * sharp * p.bar_fraction, 0.7),
        "has-spiral-arms": _share(0.1 + 1.7 * arms if has_disc else 0.05, 0.3 if has_disc else 0.95),
        "spiral-winding": _near(p.pitch_angle_deg, (12.0, 20.0, 30.0), 6.0),
        "spiral-arm-count": _share(*counts),
        "bulge-size": _near(bulge**0.5, (0.95, 0.5, 0.27, 0.08), 0.14),
        "something-odd": _share(odd, 1 - odd),
        "odd-feature": _share(
            3 * p.ring_fraction + 0.02, 0.01, 2 * p.tail_fraction + 0.02, 0.03, 0.04,
            0.9 * p.companion_fraction + 0.02, 0.2 * p.dust_depth * edge_on + 0.01,
        ),
    }  # fmt: skip


def count_votes(parameters: GalaxyParameters, seed: int, index: int) -> dict[str, int]:
    """Number of volunteers who gave each answer; keys are ``question_answer``."""
    rng = stream(seed, index, VOTE_STREAM)
    odds = answer_odds(parameters)
    voters = int(rng.integers(36, 52))
    counts: dict[str, int] = {}
    for question, (answers, led_by) in TREE.items():
        asked = sum(counts[answer] for answer in led_by) if led_by else voters
        given = rng.multinomial(asked, odds[question])
        counts |= {f"{question}_{answer}": int(number) for answer, number in zip(answers, given, strict=True)}
    return counts


def vote_fractions(counts: dict[str, int]) -> dict[str, float]:
    """Answers over volunteers asked, in [0, 1]; NaN throughout a question that nobody was asked.

    Examples
    --------
    >>> counts = dict.fromkeys((column.removesuffix("_fraction") for column in ANSWER_COLUMNS), 0)
    >>> counts |= {"smooth-or-featured_smooth": 3, "smooth-or-featured_artifact": 1}
    >>> vote_fractions(counts)["smooth-or-featured_smooth_fraction"]
    0.75
    """
    fractions = {}
    for question, (answers, _) in TREE.items():
        asked = sum(counts[f"{question}_{answer}"] for answer in answers)
        for answer in answers:
            fractions[f"{question}_{answer}_fraction"] = (
                counts[f"{question}_{answer}"] / asked if asked else float("nan")
            )
    return fractions
