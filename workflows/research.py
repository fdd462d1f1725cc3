"""The research agent."""

from temporalio import workflow

from activities.research import answer, confirm, consult, put_down_answer
from activities.research_answer import words
from activities.research_facts import Asked, Reading, Record
from handrail import AgentWorkflow, Expired, Outcome, Rejected

MOST_ASKED = 5
"""Values that a person is asked for, of one question; documents beyond are left out."""


@workflow.defn
class ResearchAgent(AgentWorkflow):
    """Answers questions about documents, each sentence with the records that it stands on."""

    @workflow.run
    async def run(self, asked: Asked) -> Outcome:
        """Answer one question."""
        found = await self.read(consult, asked)
        sure, said = list[Record](), 0
        for record in found.records:
            lacks = [name for name, field in record.fields.items() if not field.sure]
            whole: Record | None = record
            if lacks:
                whole = await self._asked_for(record) if said + len(lacks) <= MOST_ASKED else None
                said += len(lacks)
            if whole is not None:
                sure.append(whole)
        decision = await self.decide(answer, asked, found, tuple(sure), said)
        if decision.action is None:
            return self.done(f"no answer: {decision.rationale}")
        await self.write(put_down_answer, decision)
        left = decision.evidence.left_out
        told = f" ({left} documents are left out: they cannot be read for sure)" if left else ""
        return self.done(words(self.written(decision).sentences) + told)

    async def _asked_for(self, record: Record) -> Record | None:
        """Have a person read what is not sure; None where it stays so."""
        fields = dict(record.fields)
        for name, field in record.fields.items():
            if field.sure:
                continue
            if not field.maybe:
                return None
            question = f"{record.document}: which is its {name}? {' or '.join(field.maybe)}"
            try:
                reading = await self.ask(question, Reading, to="desk")
            except (Expired, Rejected):
                return None
            fields[name] = await self.read(confirm, record.document, name, reading)
            if not fields[name].sure:
                return None
        return record.model_copy(update={"fields": fields})
