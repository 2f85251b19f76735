"""One denoised image on the page: the viewer, what to compare it with, the table, and what can be downloaded."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from galaxy_core.added_noise import describe_noise
from galaxy_core.before_after import Measured
from galaxy_core.before_after_table import Line, make_table
from galaxy_core.classical import METHODS, TITLES
from galaxy_core.denoise_report import Report, make_report, table_html
from galaxy_core.denoising import DenoiseResult
from galaxy_core.saved_images import encode_part, encode_result, needs_fits, stem_of
from galaxy_core.work_tasks import Task
from pages.views import denoise_adapt, denoise_work, frame
from pages.views.denoise_work import Item, Options, Version, Work
from pages.views.downloads import download_button
from pages.views.image_viewer import component
from pages.views.image_viewer.payload import Shown
from pages.views.words import number

MODEL_TITLE = "Galaxy Atlas"
MODEL_KEY = "model"
VERSIONS = TITLES | {denoise_work.ADAPTED: denoise_adapt.TITLE}
LINEAR_NOTE = """Linear frames keep their units, header and sky. Pixels more than 30 times above the noise (up to 70
where neighbours share it) and dead ones are left as they are, so bright cores and saturated stars do not change. On
nine sets of real frames (EMMI, KiDS, SDSS, HST, HSC, M67) the flux of sources above 5 sigma changed by at most 0.16 %
in the median; some of them set the method's constants, so check the residual before measuring. One standard deviation
held the truth of 64 to 75 % of the pixels of blank sky and of 62 to 71 % of those of sources (1 to 8 times the noise)
in simulated frames whose noise was white or smoothed over up to 2 px."""
NO_NOISE = """No noise was found, so nothing was taken out, and the uncertainty is not known. Enter the sky noise if you
know it."""


def choose_options(
    item: Item, added: tuple[str, float] | None, noise_place: DeltaGenerator, hdu_place: DeltaGenerator
) -> Options:
    """FITS extension and sky noise of the image that is looked at; both stay with the image.

    Another extension, or the image with noise added to it, is another image and has a noise of its own.
    """
    unit, extensions = _facts().get(item.digest, ("", ()))
    noise_place.number_input(
        f"Sky noise{f' in {frame.plain(unit)}' if unit else ''}, if you know it",
        0.0,
        None,
        None,
        placeholder="estimated",
        key=_noise_key(item, added),
        persist_state="session",
        help="Standard deviation of one pixel of blank sky.",
    )
    if len(extensions) > 1:
        names = {
            index: f"{index} {name} · {' x '.join(map(str, shape[::-1]))}".replace("  ", " ")
            for index, name, shape in extensions
        }
        hdu_place.selectbox(
            "FITS extension",
            list(names),
            format_func=names.get,
            key=f"denoise-hdu-{item.digest}",
            persist_state="session",
        )
    return options_of(item, added)


def options_of(item: Item, added: tuple[str, float] | None) -> Options:
    """What was chosen for an image, whether or not it is looked at."""
    return Options(_hdu_of(item), st.session_state.get(_noise_key(item, added)) or None, added)


def _hdu_of(item: Item) -> int | None:
    """The extension chosen; None for the first."""
    _, extensions = _facts().get(item.digest, ("", ()))
    hdu = st.session_state.get(f"denoise-hdu-{item.digest}")
    return None if not extensions or hdu == extensions[0][0] else hdu


def _noise_key(item: Item, added: tuple[str, float] | None) -> str:
    return f"denoise-noise-{item.digest}-{_hdu_of(item)}-{added}"


def _facts() -> dict[str, tuple[str, tuple]]:
    """Unit and FITS extensions of each image known so far."""
    return st.session_state.setdefault("denoise-facts", {})


def remember_facts(item: Item, unit: str, extensions: tuple) -> None:
    """Keep what the choices above the image need to know of it; draw them again where that is news."""
    known, _facts()[item.digest] = _facts().get(item.digest, ("", ())), (unit, extensions)
    if known != _facts()[item.digest]:
        st.rerun()


def version_tasks(work_key: str, work: Work | None) -> dict[str, Task]:
    """Tasks of the other versions asked for of this image, by method; none before the image is denoised.

    They are the classical methods', and that of the model adapted to the image.
    """
    if work is None:
        return {}
    wanted = {*_methods(work_key), st.session_state.get("denoise-version", MODEL_KEY)}
    tasks = {method: denoise_work.classical_task(work_key, work, method) for method in METHODS if method in wanted}
    return tasks | denoise_adapt.tasks(work_key, work)


def _methods(work_key: str) -> list[str]:
    return st.session_state.setdefault("denoise-methods", {}).setdefault(work_key, [])


def choose_version(work_key: str, work: Work) -> str:
    """The right-hand image: the model's, the adapted one's, or a classical method's, run when it is first chosen."""
    titles = {MODEL_KEY: MODEL_TITLE}
    if denoise_adapt.is_offered(work_key, work):
        titles[denoise_work.ADAPTED] = denoise_adapt.TITLE
    elif st.session_state.get("denoise-version") == denoise_work.ADAPTED:
        st.session_state["denoise-version"] = MODEL_KEY  # it was chosen for another image, or is no better
    titles |= {method: TITLES[method] for method in METHODS}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Compare the input with",
            list(titles),
            format_func=titles.get,
            default=MODEL_KEY,
            required=True,
            key="denoise-version",
            persist_state="session",
            on_change=_want_method,
            args=(work_key,),
            help="The classical methods are told the same noise, and nothing else.",
        )
        if len(_methods(work_key)) < len(METHODS):
            st.button("Run all", icon=":material/table_rows:", on_click=_want_all, args=(work_key,))
    return chosen


def _want_method(work_key: str) -> None:
    chosen = st.session_state["denoise-version"]
    if chosen in METHODS and chosen not in _methods(work_key):
        _methods(work_key).append(chosen)


def _want_all(work_key: str) -> None:
    _methods(work_key)[:] = list(METHODS)


def draw_viewer(work_key: str, work: Work, version: Version | None) -> None:
    """Before and after, residual, uncertainty."""
    result = work.result
    measured = work.after if version is None else version.measured
    title = MODEL_TITLE if version is None else VERSIONS[version.method]
    component.draw_viewer(
        Shown(
            viewer_id="denoise",
            stamp=work_key,
            right="model" if version is None else version.stamp,
            name=result.name,
            stem=stem_of(result.name),
            before=result.image,
            after=result.denoised if version is None else version.pixels,
            uncertainty=result.uncertainty if version is None and 0 not in result.noise_sigmas else None,
            titles={
                "before": "Input" if work.clean is None else "Input, noise added",
                "after": title,
                "residual": "Residual: input - " + title,
                "uncertainty": "Uncertainty of each pixel",
            },
            unit=work.unit,
            scale=work.scale,
            sigma=result.noise_sigma,
            linear=result.linear,
            fits=result.file_format == "FITS",
            marks={"kept": measured.kept, "gained": measured.gained, "lost": measured.lost},
        )
    )


def draw_facts(work: Work) -> None:
    """Noise, size and time in large type, and what is to be known of how the file was read."""
    result = work.result
    with st.container(key="denoise-facts"):
        facts = st.columns(4)
    how = "given" if result.noise_given else "estimated"
    unit = frame.plain(work.unit)
    noise = f"{number(result.noise_sigma * work.scale)} {unit}"
    facts[0].metric(f"Sky noise, {how}", noise, help="Standard deviation of one pixel of blank sky, one band.")
    facts[1].metric("Size", " x ".join(str(side) for side in result.image.shape[:0:-1]) + " px")
    facts[2].metric("Time", f"{result.seconds:.2g} s", help="Of the model alone.")
    if work.clean is not None:
        before, after = (number(measured.error * work.scale) for measured in (work.before, work.after))
        facts[3].metric("Error", f"{after} {unit}", help=f"Root mean square of the grey image; {before} before.")
    else:
        gained, lost = len(work.after.gained), len(work.after.lost)
        text = "Sources above 5 sigma of the input's noise, found only after, and only before."
        facts[3].metric("Detections", f"+{gained}, −{lost}", help=text)
    if 0 in result.noise_sigmas and not result.noise_given:
        st.info(NO_NOISE, icon=":material/info:")
    for note in work.notes:
        st.caption(frame.plain(note))


def table_of(work: Work, versions: list[Version]) -> tuple[list[Line], list[str]]:
    """Lines of the table, and the titles of its columns."""
    columns: dict[str, Measured] = {"Input": work.before, MODEL_TITLE: work.after}
    columns |= {VERSIONS[version.method]: version.measured for version in versions}
    return make_table(work.reference, columns, work.unit, work.scale), list(columns)


def draw_table(work: Work, versions: list[Version]) -> None:
    """Before and after in numbers, and on what each was measured."""
    st.subheader("Before and after")
    st.html(f'<div class="before-after-box">{table_html(*table_of(work, versions))}</div>')


def draw_downloads(work: Work, version: Version | None, versions: list[Version], options: Options) -> None:
    """The image on the right as FITS or PNG, its residual and uncertainty, and the report; made when clicked."""
    result, mark = work.result, ""
    if version is not None:
        result, mark = denoise_work.as_result(work, version, VERSIONS[version.method]), f"_{version.method}"
    with st.container(horizontal=True):
        as_fits = needs_fits(result) or st.toggle("Download as FITS", help="Floats without rounding, in place of PNG.")
    stem, ending = stem_of(result.name) + mark, "fits" if as_fits else "png"
    mime = "application/fits" if as_fits else "image/png"
    files = {f"{stem}_{what}.{ending}": (result, what, mime) for what in ("denoised", "residual")}
    if result.uncertainty is not None:
        files[f"{stem}_uncertainty.fits"] = (result, "uncertainty", "application/fits")
    with st.container(horizontal=True, key="denoise-downloads"):
        for name, (saved, what, form) in files.items():
            download_button(f"Download {name}", _maker(saved, what, as_fits), name, form, icon=":material/download:")
        download_button(
            "Report (HTML)",
            report_maker(work, versions, options),
            f"{stem_of(result.name)}_report.html",
            "text/html",
            icon=":material/html:",
            help="One page with images, table, settings and the model's checksum; opens without a network.",
        )


def _maker(result: DenoiseResult, what: str, as_fits: bool):
    """A function that makes one of the files, outside of any page."""
    if as_fits or what == "uncertainty":
        return lambda: encode_part(result, what)
    return lambda: next(data for name, data in encode_result(result).items() if f"_{what}." in name)


def report_maker(work: Work, versions: list[Version], options: Options):
    """A function that makes the report, outside of any page."""

    def make() -> bytes:
        lines, titles = table_of(work, versions)
        settings = {}
        if options.added:
            settings["Noise added"] = describe_noise(*options.added, denoise_work.SEED, work.result.linear)
        if options.hdu is not None:
            settings["FITS extension"] = str(options.hdu)
        report = Report(
            result=work.result,
            unit=work.unit,
            scale=work.scale,
            model_title=MODEL_TITLE,
            measured=work.after,
            lines=lines,
            titles=titles,
            others={VERSIONS[version.method]: version.pixels for version in versions},
            settings=settings,
        )
        return make_report(report, datetime.now(UTC))

    return make
