"""`handrail promote`: how far agents are from doing more, what is proposed, and answering it."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, SomeBody, Why, load_fleet, operator, settings
from handrail.cli.outcomes import bound_in_words
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.cli.stop import say_became
from handrail.text import at_most

if TYPE_CHECKING:
    from handrail.client import AutonomyEvent, Expected, PromotionView

_SHOWN = 10

Proposal = Annotated[str, Parameter(help="The proposal's id, or how it begins.")]


async def show(agent: str, *, by: SomeBody = None, out: Output = PLAIN) -> int:
    """Show how far the writes of an agent are from doing more, and what became of it so far."""
    fleet = load_fleet(settings().fleet)
    async with operator(out, by, ledger="needed", fleet=fleet) as somebody:
        found = await somebody.promotions(agent)
    out.data(found)
    for each in found.writes:
        out.show(*_lines(each))
    if not found.writes:
        out.show(f"the policy of {plain(agent)} has promote: at no write")
    out.show(*map(_event, found.timeline[:_SHOWN]))
    return Code.DONE


async def evaluate(
    *agents: Annotated[str, Parameter(help="These only; else all of the fleet.")],
    out: Output = PLAIN,
) -> int:
    """Propose what is due, and take back what has become worse. To be run again and again."""
    fleet = load_fleet(settings().fleet)
    async with operator(out, ledger="needed", fleet=fleet) as somebody:
        done = [await somebody.evaluate_promotions(each) for each in agents or fleet.agents]
    out.data({"agents": [each.model_dump(mode="json") for each in done]})
    for each in done:
        out.show(*(label("proposed", f"{plain(each.agent)} {plain(p)}") for p in each.proposed))
        out.show(*(label("back", f"{plain(each.agent)} {plain(b)}", "red") for b in each.back))
    if not any(each.proposed or each.back for each in done):
        out.show("nothing is to be proposed or taken back")
    return Code.DONE


async def agree(proposal: Proposal, *, by: By, why: Why = "", out: Output = PLAIN) -> int:
    """Sign that an agent may do more, as it was proposed."""
    fleet = load_fleet(settings().fleet)
    async with operator(out, by, signs=True, ledger="needed", fleet=fleet) as somebody:
        became = await somebody.agree_promotion(proposal, why)
    out.data(became)
    return say_became(out, became)


async def decline(
    proposal: Proposal,
    *,
    by: By,
    why: Annotated[str, Parameter(help="The reason, which is kept.")],
    later: Annotated[bool, Parameter(negative=(), help="It stays open.")] = False,
    out: Output = PLAIN,
) -> int:
    """Leave an agent as it is. The same is proposed again when there is twice the evidence."""
    fleet = load_fleet(settings().fleet)
    async with operator(out, by, ledger="needed", fleet=fleet) as somebody:
        await somebody.decline_promotion(proposal, why, later=later)
    out.data({"declined": proposal, "later": later})
    out.show("it stays open" if later else "declined")
    return Code.DONE


def _lines(each: PromotionView) -> list[Text]:
    """One write, for people."""
    to = f"{each.now}, next {each.to}" if each.to else f"{each.now}: there is no more"
    lines = [label(plain(each.step), to, "bold")]
    lines.append(label("agreement", bound_in_words(each.agreement)))
    if each.wrong is not None:
        lines.append(label("wrong", f"at most {at_most(each.wrong.high)}% of {each.settled}"))
    if each.restarted and each.since is not None:
        lines.append(label("since", f"{moment(each.since)}: {plain(each.restarted)}"))
    lines += [label("lacks", plain(said), "yellow") for said in each.lacking]
    if each.expected is not None:
        lines.append(label("would be", expected_in_words(each.expected)))
    if each.proposal is not None:
        lines.append(label("proposed", each.proposal, "green"))
        if each.signed:
            who = ", ".join(map(plain, each.signed))
            lines.append(label("signed", f"by {who}; {plain(each.second)}", "yellow"))
        then = f"handrail promote agree {each.proposal[:8]} --by YOU; or decline, with --why"
        lines.append(label("next", then, "dim"))
    return lines


def expected_in_words(found: Expected) -> str:
    """What a step up would have meant."""
    freed = [
        f"{amount:,f} {plain(unit)} freed"
        for amount, unit in (
            (found.minutes, "minutes"),
            (found.cost, f"{found.unit} of cost".strip()),
        )
        if amount is not None
    ]
    said = f"{found.alone:,} of {found.cases:,} more alone in 30 days"
    wrong = f"{floor(found.wrong_low):,} to {ceil(found.wrong_high):,} of them wrong"
    return ", ".join([said, wrong, *(freed or ["no baseline says what that frees"])])


def _event(each: AutonomyEvent) -> Text:
    by = f" by {plain(each.by)}" if each.by else ""
    return label(
        moment(each.at), f"{each.event}{by}, {plain(each.step)}: {plain(each.what)}", "dim"
    )
