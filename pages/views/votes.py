"""What volunteers answered about a galaxy, as bars along the question tree; the way most of them took comes first."""

from __future__ import annotations

import html

import streamlit as st

from galaxy_core.tree_layout import TreeLayout, lay_out_tree
from galaxy_core.vote_tables import find_tree, read_vote_table
from galaxy_core.votes import GalaxyVotes, QuestionVotes, read_votes
from pages.views import words
from pages.views.question_tree import draw_question_tree
from pages.views.readers import Galaxies

KIND_QUESTIONS = ("smooth-or-featured", "how-rounded", "disk-edge-on", "bar", "has-spiral-arms")


def draw_votes(galaxies: Galaxies, row: int) -> None:
    """Votes on a galaxy: the questions on the most taken path, and the others in an expander; nothing without votes."""
    votes = votes_of(galaxies, row)
    if not votes.path:
        return
    st.markdown("**Votes of volunteers**", help=explanation(galaxies, votes))
    st.html(votes_html(votes.path))
    if votes.rest:
        with st.expander(f"{words.count(len(votes.rest), 'question', 'questions')} off that path"):
            st.html(votes_html(votes.rest))
    layout = tree_of(galaxies, row)
    if layout is not None:
        with st.expander("The whole question tree"):
            galaxy_id = str(galaxies.ids[row])
            draw_question_tree(layout, f"Votes on {galaxy_id}, {layout.tree.title}", galaxy_id)


def tree_of(galaxies: Galaxies, row: int) -> TreeLayout | None:
    """The question tree filled with the votes on one galaxy; None where its questions are of no known tree."""
    columns, kind = galaxies.manifest.answer_columns, galaxies.manifest.answer_kind
    if find_tree(columns) is None:
        return None
    table = galaxies.catalog.iloc[[row]]
    votes = read_vote_table(table, columns, kind)
    # who was asked comes from the votes as they were given, where the release has them beside debiased ones
    given = [name.removesuffix("_debiased") + "_weighted_fraction" for name in columns]
    known = read_vote_table(table, given, kind) if set(given) <= set(table) else votes
    return lay_out_tree(votes.tree, votes.conditional[0], known.asked[0])


def votes_of(galaxies: Galaxies, row: int) -> GalaxyVotes:
    """The votes of one galaxy of a catalog."""
    columns = galaxies.manifest.answer_columns
    if not columns:
        return GalaxyVotes((), ())
    return read_votes(galaxies.catalog.iloc[row], columns, galaxies.manifest.answer_kind)


def summary(votes: GalaxyVotes) -> str:
    """The leading answers to the questions that say what kind of galaxy it is, in a few words."""
    return ", ".join(question.leading.text for question in votes.path if question.key in KIND_QUESTIONS)


def explanation(galaxies: Galaxies, votes: GalaxyVotes) -> str:
    """What the shares are shares of."""
    text = "The questions most volunteers came by, one after the other. Bars: share of those who were asked."
    if votes.n_volunteers:
        text += f" {words.count(votes.n_volunteers, 'volunteer', 'volunteers')} looked at this galaxy."
    if any(column.endswith("_debiased") for column in galaxies.manifest.answer_columns):
        text += (
            " Shares are those the release expects at low redshift (debiased), so they need not add up to 100 %;"
            " how many were asked comes from the votes as they were given."
        )
    return text


def votes_html(questions: tuple[QuestionVotes, ...]) -> str:
    """Each question with a bar for each answer; answers nobody gave share one line."""
    return f'<div class="votes">{"".join(map(_question_html, questions))}</div>'


def asked_words(question: QuestionVotes) -> str:
    """How many were asked.

    Examples
    --------
    >>> asked_words(QuestionVotes("bar", "", "Bar?", (), 0.625, 25)), asked_words(QuestionVotes("bar", "", "", (), 1.0))
    ('25 asked, 62 %', 'all asked')
    """
    if question.asked is None:
        return ""
    share = "all asked" if question.asked >= 0.995 else f"{100 * question.asked:.0f} % asked"
    return share if question.n_asked is None else f"{question.n_asked:,} asked, {100 * question.asked:.0f} %"


def _question_html(question: QuestionVotes) -> str:
    parts = [
        f'<div class="question">{html.escape(question.text)}<span>{html.escape(asked_words(question))}</span></div>'
    ]
    leading = question.leading
    for answer in question.answers:
        if answer.share <= 0:
            continue
        kind = "answer leading" if answer is leading else "answer"
        width = 100 * min(answer.share, 1)
        title = "" if answer.n_votes is None else f' title="{words.count(answer.n_votes, "vote", "votes")}"'
        parts.append(
            f'<div class="{kind}">{html.escape(answer.text)}</div>'
            f'<div class="bar"><span style="width:{width:.1f}%"></span></div>'
            f'<div class="value"{title}>{100 * answer.share:.0f} %</div>'
        )
    none = [answer.text for answer in question.answers if answer.share <= 0]
    if none:
        parts.append(f'<div class="nobody">nobody: {html.escape(", ".join(none))}</div>')
    return "".join(parts)
