"""The question tree of Galaxy Zoo as a drawing: empty, or with the votes on one galaxy as widths of its branches."""

from __future__ import annotations

import base64
import html

import streamlit as st

from galaxy_core.tree_layout import AnswerNode, Branch, QuestionNode, TreeLayout, Trunk
from pages.views import frame

# In pixels, for a phone of 390; the drawing scales from there.
TEXT, ROW, LANE, MARGIN, TURN = 344, 19, 15, 14, 7
SEAM = 1.0  # by which stretches of a lane overlap: where edges only meet, the ground shows between them
WIDEST, BAR, VALUE = 12.0, 78, 46  # of a branch all volunteers took; of a bar; of the number behind it
ALL = 1 - 1e-6  # shares that add up to all may miss it by rounding
INK = {
    "dark": {"text": "#e4e7ee", "quiet": "#a3acbd", "branch": "#66728a", "bar": "#2b3242", "accent": "#f2b04a"},
    "light": {"text": "#20242e", "quiet": "#59616f", "branch": "#8d97a8", "bar": "#e3e6eb", "accent": "#a4580a"},
}
GROUND = {"dark": "#0b0e17", "light": "#ffffff"}  # of a saved drawing
HELP = (
    "Every question the project asked, and which answer leads to which. The wider a branch, the more volunteers took"
    " it; the most taken way is in the accent colour, and bars are shares of those who were asked."
)


def draw_question_tree(layout: TreeLayout, title: str, galaxy_id: str, key: str = "question-tree") -> None:
    """The drawing, as wide as there is room for and no wider than reads well, and a button that saves it."""
    svg = question_tree_svg(layout, title, dark=frame.is_dark())
    data = base64.b64encode(svg.encode()).decode()
    alt = html.escape(question_tree_words(layout, title), quote=True)
    st.html(f'<img class="question-tree" src="data:image/svg+xml;base64,{data}" alt="{alt}">')
    saved = question_tree_svg(layout, title, dark=frame.is_dark(), ground=True)
    st.download_button(
        "Save the drawing",
        saved,
        f"{galaxy_id}_question-tree.svg",
        "image/svg+xml",
        key=f"save-{key}",
        on_click="ignore",
        help=HELP,
    )


def question_tree_svg(layout: TreeLayout, title: str, dark: bool, ground: bool = False) -> str:
    """The drawing as a picture of its own; without a ``ground`` of its own, it is for the page of that theme alone.

    Widths, words and numbers say all that colours say, so that no eye misses any.
    """
    theme = "dark" if dark else "light"
    ink, left = INK[theme], layout.n_lanes * LANE + MARGIN
    width = left + TEXT
    height = round((layout.n_rows + 1) * ROW + 10)
    lines = sorted((*layout.trunks, *layout.branches), key=lambda line: line.leading)  # the leading way on top
    parts = [f'<rect width="100%" height="100%" fill="{GROUND[theme]}"/>'] if ground else []
    parts += [_line(line, layout, left, ink) for line in lines]
    parts += [_question(question, left, width, ink) for question in layout.questions]
    asked = {question.key: question.asked for question in layout.questions}
    parts += [_answer(answer, left, width, ink, asked[answer.question]) for answer in layout.answers]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" font-family="system-ui, sans-serif" font-size="12" fill="{ink["text"]}">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


def question_tree_words(layout: TreeLayout, title: str) -> str:
    """The drawing in a sentence or two, for those who hear it: the leading answers, one after the other."""
    leading = {answer.question: answer for answer in layout.answers if answer.leading}
    texts = {question.key: question.text for question in layout.questions}
    said = [f"{texts[key]} {answer.text}, {percent(answer.share)}." for key, answer in leading.items()]
    n = len(layout.questions)
    return " ".join([f"{title}: {n} questions with {len(layout.answers)} answers.", *said])


def percent(share: float | None) -> str:
    """A share in words; what is not nothing or all is not rounded to it.

    Examples
    --------
    >>> percent(0.634), percent(0.001), percent(0), percent(None)
    ('63 %', '< 1 %', '0 %', '')
    >>> percent(0.9949), percent(0.998), percent(1)
    ('99 %', '> 99 %', '100 %')
    """
    if share is None:
        return ""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < ALL else f"{100 * share:.0f} %"


def _y(row: float) -> float:
    return (row + 0.5) * ROW + 5


def _line(line: Branch | Trunk, layout: TreeLayout, left: float, ink: dict[str, str]) -> str:
    """A branch from its answer into the lane, or a stretch of the lane; the last stretch turns to its question."""
    x, start, end = left - 6 - LANE * (line.lane + 0.5), _y(line.start_row), _y(line.end_row)
    begin = start + TURN - SEAM
    if isinstance(line, Branch):
        path = f"M{left - 3:.1f} {start:.1f}H{x + TURN:.1f}Q{x:.1f} {start:.1f} {x:.1f} {start + TURN:.1f}"
    elif any(question.key == line.leads_to and question.row == line.end_row for question in layout.questions):
        path = f"M{x:.1f} {begin:.1f}V{end - TURN:.1f}Q{x:.1f} {end:.1f} {x + TURN:.1f} {end:.1f}H{left - 3:.1f}"
    else:
        path = f"M{x:.1f} {begin:.1f}V{end + TURN:.1f}"
    share, name = line.share, "branch" if isinstance(line, Branch) else "trunk"
    width = 1.2 if share is None else max(WIDEST * min(share, 1.0), 0.8)
    dashes = "" if share is None or share > 0 else ' stroke-dasharray="1 3"'
    colour = ink["accent" if line.leading else "branch"]
    return f'<path class="{name}" d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.2f}"{dashes}/>'


def _question(question: QuestionNode, left: float, width: float, ink: dict[str, str]) -> str:
    y, asked = _y(question.row) + 4, question.asked
    said = "" if asked is None else "nobody" if asked == 0 else f"{percent(asked)} asked"
    if asked is not None and asked >= ALL:
        said = "all asked"
    said = html.escape(said)  # "< 1 %"
    faint = ' opacity="0.6"' if asked == 0 else ""
    return (
        f'<g class="question"{faint}><text x="{left}" y="{y:.1f}" font-weight="600">{html.escape(question.text)}</text>'
        f'<text x="{width - 2}" y="{y:.1f}" text-anchor="end" font-size="10" fill="{ink["quiet"]}">{said}</text></g>'
    )


def _answer(answer: AnswerNode, left: float, width: float, ink: dict[str, str], asked: float | None) -> str:
    y, bar = _y(answer.row), width - VALUE - BAR
    weight, faint = (' font-weight="600"' if answer.leading else ""), (' opacity="0.6"' if asked == 0 else "")
    parts = [f'<text x="{left + 10}" y="{y + 4:.1f}"{weight}>{html.escape(answer.text)}</text>']
    if answer.share is not None and asked != 0:
        fill, length = ink["accent" if answer.leading else "branch"], BAR * min(max(answer.share, 0.0), 1.0)
        parts.append(f'<rect x="{bar}" y="{y - 4:.1f}" width="{BAR}" height="8" rx="3" fill="{ink["bar"]}"/>')
        parts.append(
            f'<rect class="share" x="{bar}" y="{y - 4:.1f}" width="{length:.1f}" height="8" rx="3" fill="{fill}"/>'
        )
        if answer.low is not None and answer.high is not None:
            low, high = (bar + BAR * min(max(end, 0.0), 1.0) for end in (answer.low, answer.high))
            parts.append(
                f'<path class="interval" d="M{low:.1f} {y - 3:.1f}v6m0-3H{high:.1f}m0-3v6" fill="none"'
                f' stroke="{ink["text"]}" stroke-width="1.2"/>'
            )
        said = html.escape(percent(answer.share))
        parts.append(f'<text x="{width - 2}" y="{y + 4:.1f}" text-anchor="end"{weight}>{said}</text>')
    return f'<g class="answer"{faint}>{"".join(parts)}</g>'
