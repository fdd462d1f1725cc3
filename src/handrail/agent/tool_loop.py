"""A loop in which a model calls tools: each request to it is a step, each tool a verb of the case.

What it reads are `@read` steps; what it writes are proposals like every other, which go through the
door, and wait for people where that holds them. What came of a call goes back to the model. The
conversation itself is kept outside the history: each round brings what is new, and names the rest.

Partly workflow code: the order of its commands is a wire format.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ParamSpec, cast

from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from typing_extensions import TypeVar, override

from handrail.actions import Action, Decision, Usage, as_json
from handrail.agent.decided import DecidedAction, StepDecision, as_decided, recalled
from handrail.agent.handoff import text_comes_along
from handrail.agent.intent import LoopIntent, emptied, strings
from handrail.agent.invoke import error_in_words, perform
from handrail.agent.live_tools import LiveCall, LiveToolbox, ToolListing
from handrail.agent.objects import request_in
from handrail.agent.patches import (
    after_blanks,
    after_briefs,
    after_called,
    after_empties,
    after_left_out,
    after_plans_within,
    after_repeats,
)
from handrail.agent.prompts import (
    ToolCall,
    ToolCalls,
    ToolResult,
    Turn,
    argument_json,
)
from handrail.agent.provenance import (
    UNKNOWN,
    given_times,
    unsourced_arguments,
    unsourced_values,
)
from handrail.agent.provenance_values import DecisionValue, wanted, wanted_arguments
from handrail.agent.steps import Decide, Read, Step, Write
from handrail.agent.tool_plan import (
    PlannedCall,
    ToolPlan,
    by_field_names,
    calls_in_words,
    plan_in_words,
)
from handrail.agent.unmeant import too_often
from handrail.agent.untrusted_text import holds_decided, holds_untrusted, unread
from handrail.exceptions import NotWritten, Piloted, Refused, fallback
from handrail.marks import Untrusted
from handrail.text import one_line

if TYPE_CHECKING:
    from handrail.agent.runner import CaseRunner

P = ParamSpec("P")
D = TypeVar("D", bound=Decision[Any, Any])


@dataclass(frozen=True, eq=False)
class Converse(Decide[P, D]):
    """A decide step in which a model calls tools before it decides: its activity is one round.

    `plan`: it begins with a plan, made of what is not from outside, that binds its writes.
    `rounds`, `tokens` and `cost`: the most of one loop, before people are asked whether it goes on.
    `given`: the parameters of the author's function, which makes the prompt of the first round.
    """

    tools: tuple[Step[..., Any], ...] = field(default=(), kw_only=True)
    live: tuple[LiveToolbox, ...] = field(default=(), kw_only=True)
    rounds: int = field(default=20, kw_only=True)
    plan: bool = field(default=False, kw_only=True)
    tokens: int | None = field(default=None, kw_only=True)
    cost: Decimal | None = field(default=None, kw_only=True)
    given: tuple[inspect.Parameter, ...] = field(default=(), kw_only=True)

    @override
    def bind(self, *args: P.args, **kwargs: P.kwargs) -> list[Any]:
        """The arguments of the author's function, in order.

        Raises:
            TypeError: if they do not fit its signature.
        """
        bound = inspect.Signature(self.given).bind(*args, **kwargs)
        bound.apply_defaults()
        return list(bound.args)

    @property
    def needs(self) -> list[Step[..., Any]]:
        """The steps that the agent must have for it."""
        live: list[Any] = [step for box in self.live for step in (box.listed, box.look, box.act)]
        return [*self.tools, *live]

    @property
    @override
    def proposes(self) -> tuple[type[Action], ...]:
        """The actions that it comes to, and those of the writes among its tools."""
        ends = [kind for kind in self.actions if kind not in {ToolCalls, ToolPlan}]
        writes = [cast("Any", tool).action for tool in self.tools if isinstance(tool, Write)]
        writes += [LiveCall] * bool(self.live)
        return tuple(dict.fromkeys([*ends, *writes]))

    def why_over(self, rounds: int, before: Usage, now: Usage) -> str | None:
        """Which of its caps is reached, in words; None if none is. Tries that failed count too."""
        tokens = now.input_tokens + now.output_tokens - before.input_tokens - before.output_tokens
        cost = now.cost - before.cost
        if rounds >= self.rounds:
            return f"it has not come to an end in {rounds} rounds"
        if self.tokens is not None and tokens >= self.tokens:
            return f"it has not come to an end, and has used {tokens} of {self.tokens} tokens"
        if self.cost is not None and cost >= self.cost:
            return f"it has not come to an end, and has cost {cost} of {self.cost}"
        return None


class ToolLoop:
    """One loop of one case: what the model has been given so far, and what it has had done."""

    def __init__(self, runner: CaseRunner, step: Converse[..., Any], given: Sequence[Any]) -> None:
        self._runner = runner
        self._step = step
        named = [(p.name, value) for p, value in zip(step.given, given, strict=True)]
        self._sources = runner.case.sources.trusted(named)
        # What the model has been given: arguments, and results of tools.
        self.values = list(given)
        # Of each tool that a server listed: whose it is, and what was listed.
        self._live = dict[str, tuple[LiveToolbox, ToolListing]]()
        # What servers say of their tools: a passage of it may not be passed on either.
        self._told = list[Untrusted]()
        self._intent: LoopIntent | None = None
        known = [value for _, value in self._sources]
        self._by = runner.case.requester
        if said := request_in(known):
            # Cases that began before this was looked at go on as they began.
            unproven = said != request_in(known, self._by) and workflow.patched("who-asked")
            self._by = self._by if unproven else None
            self._intent = LoopIntent(self._sources, by=self._by, called=after_called)
        self._unproven = self._intent is not None and self._by is not None
        # Whether the model has been given nothing that may be from outside.
        self._clean = not (runner.case.outside or holds_untrusted(given) or self._unproven)

    def lacking(self, decision: Decision[Any, Any]) -> tuple[str, ...]:
        """What of a decision has no source among it: all that tools say may be from outside."""
        found = unsourced_values(self._sources, decision)
        ends = [] if decision.action is None else wanted("action", decision.action, ())
        if self._intent is not None:
            rest = decision.model_copy(update={"action": None})
            found = (*self._intent.ending(ends), *unsourced_values(self._sources, rest))
        if not self._clean and (empty := [*emptied(ends)]) and workflow.patched("empty-endings"):
            # In cases that began before that, what a loop came to could be empty.
            found = (*found, *empty)
        if not self._clean and (more := [*self._repeated(ends)]) and after_repeats():
            found = (*found, *more)
        if self._intent is not None and decision.action is not None and not self._clean:
            out = [*self._intent.left_out(decision.action, as_json(decision.action), ends)]
            found = (*found, *(out if out and after_left_out() else ()))
        return self._runner.case.sources.lacking(self._sources, decision, found)

    def _repeated(self, ends: Sequence[DecisionValue]) -> Iterable[str]:
        if self._intent is not None:
            return self._intent.repeated(ends)
        given = self._sources
        return fallback(UNKNOWN, lambda: tuple(too_often(ends, given_times(given))))

    async def run(self) -> tuple[Any, StepDecision]:
        """Ask the model, and do what it wants done, until it decides.

        Raises:
            Refused: if it comes to no end, and nobody lets it go on.
            ActivityError: as of a decide step.
        """
        step, runner = self._step, self._runner
        pairs = zip(step.given, self.values, strict=True)
        given = tuple(argument_json(p.annotation, value) for p, value in pairs)
        turn = Turn(given=given, listings=await self._listed())
        case, rounds, before = runner.case, 0, runner.case.usage
        # Of what a model has made of a text from outside, or nobody knows who asked, no plan is.
        hijacked = case.outside and holds_decided(self.values)
        if step.plan and case.handed.origin.outside:
            # Nor is one of what was handed over by a case that had read such a text.
            hijacked = hijacked or text_comes_along()
        if step.plan and (hijacked or self._unproven):
            self._intent = LoopIntent(self._sources, ToolPlan(calls=()), self._by, after_called)
        elif step.plan:
            await self._planned(turn)
        if self._intent is not None:
            for told in self._told:
                self._intent.came("what servers say of their tools", told, pointed=False)
        while True:
            # What one answer wants done was decided before any of it was.
            clean = self._clean
            result, decided = as_decided(step, await runner.decide(step, [turn]))
            made = decided.decision
            if not isinstance(made.action, ToolCalls):
                self._note_left()
                return result, decided
            rounds += 1
            case.usage += made.usage
            results = [await self._called(call, decided, clean) for call in made.action.calls]
            turn = Turn(conversation=made.action.conversation, results=tuple(results))
            over = step.why_over(rounds, before, case.usage)
            if over is not None:
                if await runner.give_up(step, over):
                    raise Refused(step.name, over)
                rounds, before = 0, case.usage
            await runner.boundary()

    async def _planned(self, turn: Turn) -> None:
        """Have a plan made, of which nothing from outside knows, and keep to it."""
        given = tuple(unread(each) for each in turn.given or ())
        first = Turn(planning=True, given=given, listings=turn.listings)
        _, decided = as_decided(self._step, await self._runner.decide(self._step, [first]))
        made = decided.decision
        self._runner.case.usage += made.usage
        said = made.action.calls if isinstance(made.action, ToolPlan) else ()
        plan = ToolPlan(calls=tuple(map(self._by_name, said)))
        self._intent = LoopIntent(self._sources, plan, called=after_called)
        self._runner.note(plan_in_words(self._step.name, plan))

    def _note_left(self) -> None:
        """Say which writes were planned, and not made: a hostile text gains by these, too."""
        plan = self._intent.plan if self._intent is not None else None
        left = [c for c in (plan.calls if plan else ()) if c.times > 0]
        if writes := [c for c in left if isinstance(self._tool(c.tool), Write)]:
            said = calls_in_words(writes)
            self._runner.note(one_line(f"{self._step.name}: planned, and not made: {said}", 1_000))

    def _by_name(self, call: PlannedCall) -> PlannedCall:
        """A call as it is made. Of a tool that a server listed a plan knows no fields."""
        # In cases that began before that was so it bound them, and does on.
        if call.tool in self._live and workflow.patched("plans-name-listed-tools"):
            return call.model_copy(update={"args": {}})
        kind = getattr(self._tool(call.tool), "action", None)
        return by_field_names(call, kind, after_plans_within)

    async def _called(self, call: ToolCall, decided: StepDecision, clean: bool) -> ToolResult:  # noqa: FBT001
        """Do what the model wants, and say what came of it; what it may not have, too."""
        said: Any
        try:
            said = await self._do(call, decided, clean)
        except Piloted:
            raise  # what it would do after a write that was only recorded, nobody knows
        except NotWritten as error:
            said = {"not done": self._failed(call, f"{type(error).__name__}: {error}")}
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            said = {"failed": self._failed(call, error_in_words(error))}
        shown = f"{self._step.name}: {call.tool}({call.args}) -> {said}"
        self._runner.note(one_line(shown, 300))
        return ToolResult(id=call.id, tool=call.tool, content=said)

    def _failed(self, call: ToolCall, words: str) -> str:
        """Note that an error was read: its words may be from outside, as a result may."""
        self._clean = False
        if self._intent is not None:
            self._intent.came(call.tool, Untrusted(untrusted=words), pointed=False)
        return words

    async def _do(self, call: ToolCall, decided: StepDecision, clean: bool) -> Any:  # noqa: FBT001
        await self._runner.boundary()
        tool = self._tool(call.tool)
        looked_up, pure, wanted_it, instead = False, False, False, None
        if isinstance(tool, Write):
            found, wanted_it, instead = await self._write(
                cast("Write[Any, Any]", tool), call.args, decided, clean
            )
        elif isinstance(tool, Read):
            given = {p.name: p.default for p in tool.parameters} | call.args
            args = [recalled(p.annotation, given[p.name], by_name=True) for p in tool.parameters]
            named = {p.name: arg for p, arg in zip(tool.parameters, args, strict=True)}
            looked_up, pure = await self._judged(tool, named, clean)
            found = await self._read(tool, args, call.args)
            self._runner.case.sources.came_in(found)
        else:
            return {"failed": f"there is no {call.tool} any more"}
        self._sources.append((tool.name, found))
        self.values.append(found)
        self._clean = self._clean and pure
        # What cases wrote before this was looked at gives them nothing: reads were held for it.
        if self._intent is not None and wanted_it and workflow.patched("wanted-writes"):
            self._intent.wrote(tool.name, found)
        elif self._intent is not None:
            self._intent.came(tool.name, found, pointed=looked_up, pure=pure)
        told = argument_json(tool.returns, found)
        return told if instead is None else {"result": told, "amended_by_people_to": instead}

    async def _judged(
        self,
        tool: Read[..., Any],
        args: dict[str, Any],
        clean: bool,  # noqa: FBT001
    ) -> tuple[bool, bool]:
        """Whether a read looks up what the person means, and is a pure function of such values.

        One that reaches out, and whose arguments nobody wants sent, waits for people.
        """
        found = wanted_arguments(tool.name, tool.parameters, args)
        if self._intent is None:
            lacking = unsourced_arguments(self._sources, found) if tool.reaches_out else ()
            asked, sourced = False, False
        else:
            asked = self._intent.looked_up(tool.name, args, found)
            lacking = self._intent.arguments(tool.name, args, found, pure=tool.pure)
            sourced = clean or not lacking
            if clean:
                self._intent.keep(args)
        if tool.reaches_out and lacking and not clean:
            await self._runner.hold_read(tool, args, lacking)
        return asked, tool.pure and sourced

    async def _write(
        self,
        tool: Write[Any, Any],
        args: dict[str, Any],
        of: StepDecision,
        clean: bool,  # noqa: FBT001
    ) -> tuple[Any, bool, dict[str, Any] | None]:
        """What came of a write, whether who asks wanted all of it, and what people made of it."""
        action = recalled(tool.action, args, by_name=True)
        decision = of.decision.model_copy(update={"action": action})
        if self._intent is None:
            lacking = self.lacking(decision)
        else:
            found = wanted("action", action, ())
            lacking = self._intent.lacking(
                tool.name,
                args,
                found,
                clean=clean,
                empties=after_empties,
                within=after_plans_within,
                briefs=after_briefs,
                blanks=after_blanks,
                action=action,
                leaves_out=after_left_out,
                repeats=after_repeats,
            )
            lacking += self.lacking(decision.model_copy(update={"action": None}))
        live = self._live.get(tool.name)
        if live is not None:
            action = live[0].call(live[1], tool, args)
            tool, args = live[0].act, as_json(action)
        self._runner.case.sources.decided(action, args, of.basis, lacking, self.values)
        proposal = DecidedAction(action, args, of.basis, evidence=of.decision.evidence)
        found = await self._runner.write(tool, proposal)
        done = self._runner.case.decisions.written(action)
        return found, not lacking, None if done is action else as_json(done)

    async def _read(self, tool: Read[..., Any], args: list[Any], given: dict[str, Any]) -> Any:
        live = self._live.get(tool.name)
        if live is not None:
            call = live[0].call(live[1], tool, given)
            tool, args = live[0].look, [call.tool, call.arguments, call.digest]
        return await perform(self._runner.case, tool, args, tool.returns)

    def _tool(self, name: str) -> Step[..., Any] | None:
        own = next((tool for tool in self._step.tools if tool.name == name), None)
        if own is not None or name not in self._live:
            return own
        box, listing = self._live[name]
        return next(each for each in box.made(listing) if each.name == name)

    async def _listed(self) -> tuple[JsonValue, ...]:
        """Have servers list their tools to this case, once. What they say is from outside."""
        found, own = list[JsonValue](), {tool.name for tool in self._step.tools}
        for box in self._step.live:
            listing = await perform(self._runner.case, box.listed, [], ToolListing)
            self._clean = False
            self._runner.case.sources.came_in(listing)
            for made in box.made(listing):
                # A server takes no name that is another's.
                if made.name not in own:
                    self._live.setdefault(made.name, (box, listing))
            for each in listing.tools:
                said = "\n".join([each.description.text, *strings(each.takes)])
                self._told.append(Untrusted(untrusted=said))
            known = ", ".join(f"{each.name} {each.digest[:12]}" for each in listing.tools)
            self._runner.note(one_line(f"{box.listed.name}: {known}", 1_000))
            found.append(argument_json(ToolListing, listing))
        return tuple(found)
