"""One classified image on the page: what the model saw, the class, what volunteers would say, and what turning does."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from galaxy_core.images import encode_png
from galaxy_core.morphology import DEFAULT_CLASSIFIER, Morphology, join_morphologies
from galaxy_core.morphology_table import encode_morphologies
from galaxy_core.tree_layout import lay_out_tree
from galaxy_core.turning import EXACT
from galaxy_core.vote_classes import EIGHT_CLASSES, eight_class_shares
from galaxy_core.work_tasks import RUNNING, WAITING, Task
from pages.views import background, commands, frame, morphology_words, morphology_work
from pages.views.denoise_files import POLL_S
from pages.views.downloads import download_button
from pages.views.gallery import CARD_PX, data_address
from pages.views.morphology_words import class_words, in_tree_order
from pages.views.morphology_work import Model, Seen
from pages.views.question_tree import draw_question_tree, percent

UNSURE = 0.5
CLASS_HELP = "The mean over eight turned and mirrored views. The probabilities add up to 100 %."
EIGHT_HELP = (
    "Share of volunteers whose answers would lead to each of eight classes; the rest sees a star or an artifact."
)
VOLUNTEERS_HELP = "In brackets: the interval that is to hold what they really say, nine times in ten."
TREE_HELP = f"""Expected shares of those who would be asked, and the interval that is to hold 90 % of what they would
say: the fewer of {morphology_words.N_VOLUNTEERS} are asked, the wider. The wider a branch, the more take it."""
TURN_HELP = f"""A galaxy has no up and no handedness that matters here, so all views should agree. What is said above is
the mean over the first {len(EXACT)}, which only turn pixels by 90° and mirror them. The other angles are interpolated:
what lay in a corner is lost, and corners are filled with sky."""


def draw_answer(seen: Seen, model: Model) -> None:
    """The picture beside the class, and what volunteers would say."""
    leading = seen.leading
    if leading is not None:
        name, share = class_words(seen.told.class_names[leading]), percent(float(seen.probabilities[leading]))
        st.subheader(frame.plain(f"{name} · {share}"), anchor=False, help=CLASS_HELP)
    st.html(f'<div class="morphology-top">{picture_html(seen)}{class_html(seen.told)}</div>')
    if leading is not None and seen.probabilities[leading] < UNSURE:
        st.caption("No class is likelier than all others together.")
    if is_unlike(seen):
        about, _ = morphology_work.records_of(model)
        st.warning(_text(morphology_words.unlike_sentence(about)), icon=":material/help:")
    if seen.told.cumulative is not None:
        st.markdown(f"**What {morphology_words.N_VOLUNTEERS} volunteers would say**", help=VOLUNTEERS_HELP)
        st.markdown(_text(" ".join(morphology_words.volunteers_sentences(seen.told))))
        if said := morphology_words.disagreement_sentence(seen.told):
            st.caption(said)
        if leading is not None:
            with st.expander("Eight classes, read off the votes"):
                st.html(bars_html(*eight_classes(seen.told)))
                st.caption(EIGHT_HELP)


def picture_html(seen: Seen) -> str:
    """The image as the model was given it, each pixel a square of whole screen pixels, and what part it is of what."""
    size, (height, width) = seen.stamp.shape[1], seen.shape
    shown = size * max(1, CARD_PX // size)
    what = f"the central {seen.side_px} x {seen.side_px} px of {width} x {height} px"
    if seen.side_px == height == width:
        what = f"all {width} x {height} px"
    return (
        f'<figure><img class="galaxy-image" src="{data_address(encode_png(seen.stamp))}" width="{shown}"'
        f' height="{shown}" alt="{html.escape(seen.name, quote=True)} as the model sees it">'
        f"<figcaption>As the model sees it: {size} x {size} px, from {what}</figcaption></figure>"
    )


def class_html(told: Morphology) -> str:
    """Classes with their probabilities, the likeliest first; where none was learned, the eight that votes make."""
    if not told.class_names:
        return bars_html(*eight_classes(told)) if told.conditional is not None else ""
    order = np.argsort(-told.class_probabilities[0], kind="stable")
    return bars_html([class_words(told.class_names[i]) for i in order], told.class_probabilities[0][order])


def eight_classes(told: Morphology) -> tuple[list[str], np.ndarray]:
    """The eight classes at the ends of the question tree, and the share of volunteers who come to each."""
    shares = eight_class_shares(in_tree_order(told.conditional.expected))[0]
    order = np.argsort(-shares, kind="stable")
    return [class_words(EIGHT_CLASSES[i]) for i in order], shares[order]


def bars_html(names: Sequence[str], shares: np.ndarray) -> str:
    """A list of bars, the first one leading."""
    rows = [
        f'<div class="answer{" leading" if place == 0 else ""}">{html.escape(name)}</div>'
        f'<div class="value">{html.escape(percent(float(share)))}</div>'
        f'<div class="bar"><span style="width:{100 * float(share):.1f}%"></span></div>'
        for place, (name, share) in enumerate(zip(names, shares, strict=True))
    ]
    return f'<div class="votes stacked">{"".join(rows)}</div>'


def draw_tree(seen: Seen) -> None:
    """The question tree filled with the expected shares and their intervals; nothing if no votes were learned."""
    told = seen.told
    if told.conditional is None:
        st.caption("This model learned from classes alone, so it does not say what volunteers would answer.")
        return
    st.markdown("**The question tree, as volunteers would fill it**", help=TREE_HELP)
    expected, low, high = (in_tree_order(getattr(told.conditional, name)[0]) for name in ("expected", "low", "high"))
    layout = lay_out_tree(conditional=expected, interval=(low, high))
    title = f"Expected votes on {told.galaxy_ids[0]}, {layout.tree.title}"
    draw_question_tree(layout, title, str(told.galaxy_ids[0]), "morphology-tree")


def draw_turned(seen: Seen) -> None:
    """All views with what is said of each, and how far that differs."""
    turned, leading = seen.turned, seen.leading
    st.subheader("What changes when it is turned", anchor=False, help=TURN_HELP)
    st.markdown(_text(morphology_words.turning_sentence(turned, seen.told.class_names, leading)))
    moved, figures = turned.most_moved(), [turned_html(seen, place) for place in range(len(turned.names))]
    st.html(f'<div class="turned">{"".join(figures)}</div>')
    below = [] if leading is None else [f"in bold the probability of “{class_words(seen.told.class_names[leading])}”"]
    below += [] if moved is None else [f"the share of all volunteers for “{morphology_words.answer_words(moved)}”"]
    st.caption(frame.plain(f"Below each view, seen by itself: {', then '.join(below)}."))


def turned_html(seen: Seen, place: int) -> str:
    """One view with the probability of the leading class, and the share for the answer that moves most."""
    turned, leading, moved = seen.turned, seen.leading, seen.turned.most_moved()
    name, said = turned.names[place], []
    if leading is not None:
        said.append(f"<b>{html.escape(percent(float(turned.class_probabilities[place, leading])))}</b>")
    if moved is not None:
        said.append(html.escape(percent(float(turned.cumulative[place, moved]))))
    return (
        f'<figure><img class="galaxy-image" src="{data_address(encode_png(turned.stamps[place] / np.float32(255)))}"'
        f' alt="{name}"><figcaption>{name}<br>{" · ".join(said)}</figcaption></figure>'
    )


def draw_downloads(seen: Seen, tasks: Sequence[Task]) -> None:
    """The row of this image, and the rows of all files that are known, with the columns of ``scripts/classify.py``.

    While files are under way it is drawn again by itself, for one more row may be known.
    """
    under_way = any(background.queue().standing(task.key).state in (WAITING, RUNNING) for task in tasks)
    st.fragment(_draw_downloads, run_every=POLL_S if under_way else None)(seen, tuple(task.key for task in tasks))


def _draw_downloads(seen: Seen, keys: tuple[str, ...]) -> None:
    every = [known for key in keys if (known := background.queue().result(key)) is not None]
    with st.container(horizontal=True, key="morphology-downloads"):
        _download("Download the row (CSV)", [seen], str(seen.told.galaxy_ids[0]))
        if len(every) > 1:
            which = f"all {len(keys)}" if len(every) == len(keys) else f"{len(every)} of {len(keys)}"
            _download(f"Download {which} rows (CSV)", every, "all")


def _download(label: str, rows: Sequence[Seen], name: str) -> None:
    told = [seen.told for seen in rows]
    download_button(
        label,
        lambda: encode_morphologies(join_morphologies(told)),
        f"{name}_morphology.csv",
        "text/csv",
        icon=":material/download:",
        help="Class probabilities, and the 37 expected vote fractions in two forms with 90 % intervals: the columns"
        " that `python scripts/classify.py` writes.",
    )


def draw_trust(model: Model, class_names: Sequence[str]) -> None:
    """What the model learned from, on what it was measured, and with what result; and what it cannot say."""
    about, metrics = morphology_work.records_of(model)
    st.subheader("How far to trust this", anchor=False)
    measured = morphology_words.measured_sentences(metrics)
    missing = f"It was not measured yet: `{commands.measure(DEFAULT_CLASSIFIER, model.folder)}` does."
    lines = [_text(morphology_words.trained_sentence(about))]
    lines += [_text(sentence) for sentence in measured] or [missing]
    if class_names:
        lines += [morphology_words.WITH_A_CLASS] if isinstance(metrics.get("classes"), dict) else []
        lines.append(
            f"It knows these {len(class_names)} classes and no other: whatever else is in the image, such as a merger"
            " or a star, is given one of them, too, and may be given it surely."
        )
    lines.append(
        "Galaxies unlike those, from other surveys or in other frames, may be told wrongly without a sign of it."
    )
    st.markdown("\n".join(f"- {line}" for line in lines))


def _text(sentence: str) -> str:
    """A sentence for Markdown, in which no percent sign stands apart from its number."""
    return frame.plain(sentence.replace(" %", "\u00a0%"))


def state_words(seen: Seen | None, otherwise: str) -> str:
    """What the list of files says of one."""
    if seen is None:
        return otherwise
    if seen.leading is None:
        return "done"
    said = f"{class_words(seen.told.class_names[seen.leading])}, {percent(float(seen.probabilities[seen.leading]))}"
    return f"{said}, but unlike what the model learned from" if is_unlike(seen) else said


def is_unlike(seen: Seen) -> bool:
    """Whether the image is farther from what the model learned from than its limit, which some of those pass, too."""
    return seen.told.out_of_distribution is not None and bool(seen.told.out_of_distribution[0])
