"""The split of a galaxy is the same for ever: models and what they were measured on would else meet again."""

import numpy as np

from galaxy_core.splits import TEST, TRAIN, VALIDATION, split_mask, split_of


def test_splits_are_those_that_shipped_models_were_trained_by():
    found = {split: [n for n in range(60) if split_of(str(n)) == split] for split in (TEST, VALIDATION)}
    assert found == {TEST: [4, 42, 52, 53], VALIDATION: [19, 22, 24, 43, 44, 47, 56, 59]}
    ids = [f"galaxy-ж-{n}" for n in range(5_000)]
    shares = [split_mask(ids, split).mean() for split in (TEST, VALIDATION, TRAIN)]
    assert sum(shares) == 1 and np.allclose(shares, [0.1, 0.1, 0.8], atol=0.02)
