"""The intake: what came in and could not be started, why, and what is to be done about it.

For who controls the agent. `handrail serve` starts within seconds what is mended here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.actions import json_schema
from handrail.client import CALL_BACK
from handrail.exceptions import InvalidRequest, NotFound, RequestError
from handrail.inbox.web import forms
from handrail.inbox.web.asking import case_page
from handrail.inbox.web.site import FormFault, Site, sentence, signed_in, texts
from handrail.text import exact_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import IntakeEntry

_OPEN = {"waiting", "wrong"}


@signed_in
async def intake(request: Request, site: Site, who: str) -> Response:
    """What waits to be started, and what is to be mended."""
    everything = request.query_params.get("show") == "all"
    found = await site.operator(who).intake(every=everything)
    return site.page(request, "intake.html", entries=found.entries, all=everything)


async def _entry(request: Request, site: Site, who: str) -> IntakeEntry:
    """The entry that a path names.

    Raises:
        HTTPException: 404 if there is none of an agent that this person controls.
    """
    named: str = request.path_params["entry"]
    try:
        found = await site.operator(who).intake_entry(named)
    except NotFound:
        found = None
    if found is None or found.id != named:
        raise HTTPException(404, "There is no such entry for you.")
    return found


@signed_in
async def entry(request: Request, site: Site, who: str) -> Response:
    """One entry: what was sent, what is wrong with which field, and the form that mends it."""
    return _show(request, site, await _entry(request, site, who))


def _show(
    request: Request,
    site: Site,
    found: IntakeEntry,
    *,
    fault: str = "",
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    callback = found.source == CALL_BACK
    agent = None if callback else site.agents.get(found.agent)
    typed = given if given and any(name.startswith(forms.ROOT) for name in given) else None
    form: tuple[forms.FormField, ...] = ()
    if agent is not None and found.state in _OPEN:
        value = _as_event(agent.event, found.body)
        wrong = _wrong(agent.event, value) if errors is None else errors
        form = forms.fields(json_schema(agent.event), value, typed, wrong)
    return site.page(
        request,
        "entry.html",
        status=status,
        entry=found,
        form=form,
        case=case_page(found.case) if found.case else "",
        open=found.state in _OPEN,
        callback=callback,
        fault=fault,
        given=given or {},
        errors=errors or {},
        token=site.token(request, case=found.id, gate="intake"),
    )


def _as_event(event: type[BaseModel], body: str) -> dict[str, Any] | None:
    """What was sent, under the names of an event's fields, as far as it can be read as one."""
    try:
        said: Any = exact_json(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    names = {f.alias: name for name, f in event.model_fields.items() if f.alias}
    return {names.get(name, name): each for name, each in cast("dict[str, Any]", said).items()}


def _wrong(event: type[BaseModel], value: dict[str, Any] | None) -> dict[str, str]:
    """What is wrong with which field of what was sent."""
    if value is None:
        return {}
    try:
        event.model_validate(value, by_alias=True, by_name=True)
    except ValidationError as error:
        return forms.faults_of(event, error)
    return {}


@signed_in
async def mend(request: Request, site: Site, who: str) -> Response:
    """Have an entry started as what was filled in, tried again as it is, or let be."""
    sent, made_for = await site.received(request, who)
    found, given = await _entry(request, site, who), texts(sent)
    if (made_for.case, made_for.gate) != (found.id, "intake"):
        raise HTTPException(403, "This form was made for another entry. Open the page again.")
    operator, do = site.operator(who), given.get("do", "")
    errors: dict[str, str] = {}
    try:
        if do == "drop":
            await operator.drop_intake(found.id, given.get("why", ""))
        elif do == "retry":
            await operator.retry_intake(found.id)
        else:
            await operator.mend_intake(found.id, _filled(site, found, given, as_json=do == "json"))
        return RedirectResponse("/intake", 303)
    except FormFault as error:
        said, errors = str(error), error.errors
    except InvalidRequest as error:
        model_error, agent = error.__cause__, site.agents.get(found.agent)
        said = sentence(error).rstrip(".")
        if isinstance(model_error, ValidationError) and agent is not None and do != "json":
            errors, said = forms.faults_of(agent.event, model_error), "some fields will not do"
            said = errors.pop(forms.ROOT, said)
        elif error.field in {"why", "event"}:
            errors = {"why" if error.field == "why" else "json": sentence(error)}
    except RequestError as error:
        said = str(error)
    fault = f"Nothing was changed: {said}."
    return _show(request, site, found, fault=fault, given=given, errors=errors, status=422)


def _filled(
    site: Site, found: IntakeEntry, given: Mapping[str, str], *, as_json: bool
) -> dict[str, Any]:
    """The event that was filled in, or written as JSON.

    Raises:
        FormFault: if it cannot be read.
    """
    agent = site.agents.get(found.agent)
    if as_json or agent is None:
        try:
            said: Any = exact_json(given.get("json", ""))
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise FormFault("this is no JSON object", {"json": "Write an object as JSON."})
        return cast("dict[str, Any]", said)
    filled = forms.read(json_schema(agent.event), given, blank=False)
    if filled.errors:
        raise FormFault("some fields will not do", filled.errors)
    return cast("dict[str, Any]", filled.value)
