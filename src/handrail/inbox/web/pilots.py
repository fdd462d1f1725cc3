"""The pilot of an agent, and how far it may go: agreement with people, proposals, their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.actions import json_schema
from handrail.exceptions import InvalidRequest, RequestError
from handrail.inbox.web import forms
from handrail.inbox.web.site import TEMPLATES, Site, sentence, signed_in, texts
from handrail.oversight import OrderState, differing_lines

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import PilotView

SHOWN = 50
"""Disagreements that one page shows, those first that are to be judged."""
_WIDE, _HIGH = 560, 200


@signed_in
async def pilot(request: Request, site: Site, who: str) -> Response:
    """What an agent proposed beside what people did."""
    return _pilot(request, site, who)


@signed_in
async def judge(request: Request, site: Site, who: str) -> Response:
    """Say who was right in one disagreement, as whoever is signed in."""
    given, agent = texts((await site.received(request, who))[0]), _named(request, site, who)
    try:
        await site.operator(who).judge_outcome(
            given.get("outcome", ""), given.get("right", ""), given.get("why", "")
        )
    except RequestError as error:
        return _pilot(request, site, who, fault=f"Nothing was recorded: {sentence(error)}")
    return RedirectResponse(request.url_for("pilot", agent=agent).path, 303)


@signed_in
async def did(request: Request, site: Site, who: str) -> Response:
    """The form in which somebody says what people did in a case."""
    return _did(request, site, _named(request, site, who))


@signed_in
async def say(request: Request, site: Site, who: str) -> Response:
    """Keep what people did in a case, as whoever is signed in says it."""
    given, name = texts((await site.received(request, who))[0]), _named(request, site, who)
    _, step, schema = _written(site, name, given.get("step", ""))
    filled = forms.read(schema, given) if given.get("do") == "did" else None
    if filled is not None and filled.errors:
        fault = "Some fields will not do."
        return _did(request, site, name, given, errors=filled.errors, fault=fault)
    said = {
        "case": given.get("case", "").strip(),
        "step": step,
        "by": who,
        "at": f"{given.get('at', '').strip()}Z",
        "action": None if filled is None else filled.value,
    }
    try:
        found = await site.operator(who).import_outcomes(name, [said], "form")
    except RequestError as error:
        return _did(request, site, name, given, fault=sentence(error))
    if found.bad:
        return _did(request, site, name, given, fault=f"Nothing was kept: {found.bad[0].why}.")
    return RedirectResponse(request.url_for("pilot", agent=name).path, 303)


def _written(site: Site, name: str, wanted: str) -> tuple[list[str], str, dict[str, Any]]:
    """The writes of an agent, the one that is wanted or the first, and what it takes.

    Raises:
        HTTPException: 404 if the agent is not served here, so that nothing is known of them.
    """
    agent = site.agents.get(name)
    writes = [] if agent is None else [w for w in agent.shape.writes.values() if not w.undoes]
    if not writes:
        raise HTTPException(404, "What this agent writes is not known here: import a file instead.")
    chosen = next((each for each in writes if each.name == wanted), writes[0])
    return [each.name for each in writes], chosen.name, json_schema(chosen.action)


def _did(
    request: Request,
    site: Site,
    name: str,
    given: Mapping[str, str] | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    fault: str = "",
) -> Response:
    wanted = (given or request.query_params).get("step", "")
    steps, step, schema = _written(site, name, wanted)
    return site.page(
        request,
        "did.html",
        status=422 if given else 200,
        agent=name,
        steps=steps,
        step=step,
        # Without what was proposed: who sees it says what they see.
        form=forms.fields(schema, None, given, errors),
        case=(given or request.query_params).get("case", ""),
        at=(given or {}).get("at") or f"{site.clock():%Y-%m-%dT%H:%M}",
        fault=fault,
        token=site.token(request),
    )


@signed_in
async def promote(request: Request, site: Site, who: str) -> Response:
    """What an agent has shown, what is proposed, and how it came to be so free."""
    return _promote(request, site, who)


@signed_in
async def answer(request: Request, site: Site, who: str) -> Response:
    """Agree to a proposal, leave it for later, or decline it, as whoever is signed in."""
    given, agent = texts((await site.received(request, who))[0]), _named(request, site, who)
    operator, why = site.operator(who), given.get("why", "")
    named, said = given.get("proposal", ""), given.get("answer", "")
    try:
        if said == "agree":
            became = await operator.agree_promotion(named, why)
            stand = became.stand or "left for a worker, which will judge it"
            note = f"It is {stand}{': ' if became.note else ''}{became.note}."
            if became.stand is OrderState.WAITING and became.note:  # which says for whom
                note = f"Signed: {became.note}."
            return _promote(request, site, who, note=note)
        if said not in {"later", "no"}:
            raise HTTPException(400, "This form answers nothing.")
        await operator.decline_promotion(named, why, later=said == "later")
    except RequestError as error:
        return _promote(request, site, who, fault=f"Nothing was signed: {sentence(error)}")
    return RedirectResponse(request.url_for("promote", agent=agent).path, 303)


def _named(request: Request, site: Site, who: str) -> str:
    """The agent that a path names.

    Raises:
        HTTPException: 404 if no policy of that agent names whoever asks.
    """
    agent: str = request.path_params["agent"]
    if agent not in site.directory.agents(who):
        raise HTTPException(404, "There is no agent of that name whose policy names you.")
    return agent


def _pilot(request: Request, site: Site, who: str, fault: str = "") -> Response:
    agent, token = _named(request, site, who), site.token(request)

    async def reckoned() -> str:
        found = await site.operator(who).pilot(agent, limit=SHOWN)
        shown: dict[str, Any] = {"apart": found.disagreements, "plot": plot(found), "shown": SHOWN}
        shown |= {"link": site.run_url, "differing": differing_lines}
        return TEMPLATES.get_template("_pilot.html").render(found=found, token=token, **shown)

    status, known = 422 if fault else 200, agent in site.agents
    content: dict[str, Any] = {"agent": agent, "known": known, "fault": fault}
    return site.streamed(request, "pilot.html", reckoned, status=status, **content)


def _promote(
    request: Request, site: Site, who: str, *, note: str = "", fault: str = ""
) -> Response:
    agent, token = _named(request, site, who), site.token(request)

    async def reckoned() -> str:
        try:
            found = await site.operator(who).promotions(agent)
        except InvalidRequest:
            return TEMPLATES.get_template("_not_said.html").render(agent=agent)
        return TEMPLATES.get_template("_promote.html").render(found=found, token=token)

    content: dict[str, Any] = {"agent": agent, "note": note, "fault": fault}
    return site.streamed(request, "promote.html", reckoned, status=422 if fault else 200, **content)


def plot(found: PilotView) -> dict[str, str] | None:
    """The agreement over time as points of an SVG: its line, its band, and the goal's height."""
    path = found.path
    if not path[1:]:  # a line has two ends
        return None
    most = path[-1].n
    band = [*_points(found, "high", most), *_points(found, "low", most)[::-1]]
    goal = "" if found.goal is None else f"{_HIGH * (1 - found.goal):.1f}"
    return {"line": " ".join(_points(found, "share", most)), "band": " ".join(band), "goal": goal}


def _points(found: PilotView, name: str, most: int) -> list[str]:
    return [
        f"{_WIDE * each.n / most:.1f},{_HIGH * (1 - float(getattr(each, name))):.1f}"
        for each in found.path
    ]
