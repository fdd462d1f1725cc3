"""Data checks of the research agent: an answer leaves only if its citations hold."""

from activities.research import cited_now
from activities.research_answer import faults
from activities.research_facts import Answer
from handrail import check


@check
def every_sentence_holds(action: Answer) -> str | None:
    """Each sentence cites records that say so now, and has no figure that is in none of them."""
    found = faults(action.sentences, cited_now(action.sentences))
    return "; ".join(found[:5]) or None
