"""The list of files on the Morphology page never names a class alone where the image is unlike all that was learned."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pages.views.morphology_panels import state_words


@pytest.mark.parametrize(("flag", "ending"), [(None, "72 %"), (np.array([False]), "72 %"), (np.array([True]), "from")])
def test_a_class_is_doubted_where_the_image_is_unlike_all_that_was_learned(flag, ending):
    told = SimpleNamespace(class_names=("round_smooth", "spiral"), out_of_distribution=flag)
    said = state_words(SimpleNamespace(told=told, leading=0, probabilities=np.array([0.72, 0.28])), "waiting")
    assert said.startswith("round, smooth, 72 %") and said.endswith(ending)
    assert ("unlike" in said) == (ending == "from")


def test_a_file_that_is_not_looked_at_yet_says_what_it_waits_for():
    assert state_words(None, "waiting") == "waiting"
