"""Versions of one denoised image on the Denoise page: what they are told, what is shown of them, what files say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from denoiser_stand_ins import Smooth, display, linear
from streamlit.testing.v1 import AppTest

from galaxy_core.before_after import make_reference, measure_version
from galaxy_core.classical import METHODS
from galaxy_core.denoising import denoise_image
from galaxy_core.images import AstroImage
from galaxy_core.saved_images import history_of
from pages.views import denoise_adapt, denoise_panels, denoise_work
from pages.views.denoise_work import ADAPTED, Adapted, Version, Work


def work_of(image: AstroImage) -> Work:
    result = replace(denoise_image(image, Smooth()), weights_sha256="a" * 64)
    reference = make_reference(result.image, result.denoised, result.noise_sigma, result.linear)
    before, after = (measure_version(reference, pixels) for pixels in (result.image, result.denoised))
    return Work(result, None, reference, before, after)


@pytest.fixture(scope="module")
def cube() -> Work:
    """Two bands, one of a hundredfold noise."""
    rng = np.random.default_rng(0)
    return work_of(linear(np.stack([rng.normal(10, 1, (60, 60)), rng.normal(10, 100, (60, 60))])))


@pytest.mark.parametrize("whole_px", [2**21, 100])
def test_classical_methods_are_told_the_noise_of_every_band(cube, whole_px, monkeypatch):
    """At once, and in tiles: the noise of both together would wipe out the quiet one."""
    monkeypatch.setattr(denoise_work, "WHOLE_PX", whole_px)
    quiet, loud = cube.result.noise_sigmas
    assert loud > 50 * quiet
    made = denoise_work.classical_task("key", cube, "wavelet").run(lambda done: None).pixels
    expected = METHODS["wavelet"](cube.result.image[:1], quiet)
    np.testing.assert_allclose(made[0], expected[0], atol=1e-3)


def adapted(work: Work, improved: bool) -> Adapted:
    name = "smooth, adapted to this image (40 steps, seed 0)" if improved else "smooth"
    return Adapted(ADAPTED, work.result.denoised, work.after, improved, "", "", name)


def test_what_was_adapted_again_is_shown_anew(cube, monkeypatch):
    """The viewer keeps what it was sent of a version, and adapting for longer gives other pixels."""
    sent = []
    monkeypatch.setattr(denoise_panels.component, "draw_viewer", sent.append)
    first, second = adapted(cube, True), adapted(cube, True)
    for version in (None, Version("wavelet", cube.result.image, cube.after), first, first, second):
        denoise_panels.draw_viewer("key", cube, version)
    rights = [shown.right for shown in sent]
    assert rights[2] == rights[3] and len(set(rights)) == 4 and len({shown.stamp for shown in sent}) == 1


@pytest.mark.parametrize("improved", [True, False, None])
def test_an_adapted_model_that_is_no_better_is_not_offered(cube, monkeypatch, improved):
    """None: it is still at work."""
    made = None if improved is None else adapted(cube, improved)
    monkeypatch.setattr(denoise_adapt, "_asked", lambda: {"key": 30})
    monkeypatch.setattr(denoise_adapt.background, "queue", lambda: SimpleNamespace(result=lambda key: made))
    assert denoise_adapt.is_offered("key", cube) is (improved is not False)
    assert not denoise_adapt.is_offered("other", cube)


def test_files_name_what_made_them_and_claim_no_more(cube):
    """Only the model keeps bright pixels, and a model that was not bettered is the shipped one."""

    def said(version: Version, title: str = "Title") -> str:
        return " ".join(history_of(denoise_work.as_result(cube, version, title), "denoised"))

    model = " ".join(history_of(cube.result, "denoised"))
    assert "model smooth, weights sha256 aaaa" in model and "unchanged" in model
    classical = said(Version("wavelet", cube.result.image, cube.after), "Wavelets")
    assert "model Wavelets." in classical and "unchanged" not in classical
    assert said(adapted(cube, False)) == model
    better = said(adapted(cube, True))
    assert "model smooth, adapted to this image (40 steps, seed 0)." in better and "unchanged" in better


def test_the_report_says_which_noise_was_added(cube):
    options = denoise_work.Options(added=("published", 2.0))
    picture = work_of(display(np.random.default_rng(0).random((1, 40, 40))))
    for work, words in ((cube, "gaussian, 2 times the noise of its own sky"), (picture, "2 times the published level")):
        assert words in denoise_panels.report_maker(work, [], options)().decode()


def choosing(images: list, measured: list):
    """A page with the choice of the part to compare, of each pair."""
    import streamlit as st

    from galaxy_core.upload_framing import Framing
    from pages.views import upload_choice
    from pages.views.upload_search import SearchBase

    base = SearchBase(None, Framing(8.0, 7.9, 8.1, 100))
    for number, (image, other) in enumerate(zip(images, measured, strict=True)):
        crop, _ = upload_choice.choose_part(image, other, base, "folder", f"part-{number}")
        st.text(f"{crop.side_px}")


def test_the_cutout_is_that_of_the_version_measured():
    """Denoised otherwise, or looked at as it came on another page, the same upload has a source of another size."""
    rows, columns = np.indices((160, 160)) - 80.0
    small, large = (display(0.9 * np.exp(-(np.hypot(rows, columns) ** 2) / (2 * w**2))[None]) for w in (3.0, 9.0))
    pairs = {"images": [small, small, small], "measured": [small, large, small]}
    app = AppTest.from_function(choosing, kwargs=pairs, default_timeout=120).run()
    first, second, third = (int(text.value) for text in app.text)
    assert not app.exception and first == third and second > 2 * first
