"""How a worker's code is called."""

import importlib
import importlib.metadata
import sys
from pathlib import Path

import pytest

from handrail.runtime import fleet


@pytest.fixture
def no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_DEPLOYMENT_NAME", raising=False)
    monkeypatch.delenv("TEMPORAL_WORKER_BUILD_ID", raising=False)


def test_an_unversioned_worker_says_what_it_is_instead_of_hashing_every_module(
    no_deployment: None,
) -> None:
    assert fleet.worker_build() == {
        "build_id": f"handrail-{importlib.metadata.version('handrail')}"
    }


def test_a_build_that_is_named_is_called_so_without_a_deployment(
    no_deployment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "2026-11-22")
    assert fleet.worker_build({__name__}) == {"build_id": "2026-11-22"}


def test_a_versioned_worker_says_its_deployment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "shipments")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "2026-11-22")
    assert list(fleet.worker_build()) == ["deployment_config"]


def test_the_text_of_an_agent_and_of_what_it_imports_is_in_its_name(
    no_deployment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt in a module beside it, too; and nothing of another agent in the same project."""
    texts = {
        "desk_flows/__init__.py": "",
        "desk_flows/mail.py": "import json\nfrom desk_steps import mail as steps\n",
        "desk_flows/other.py": "from desk_steps.words import OTHER\n",
        "desk_steps/__init__.py": "",
        "desk_steps/mail.py": "from handrail import read\nfrom .prompts import ASK\n",
        "desk_steps/prompts.py": "ASK = 'What is it?'\n",
        "desk_steps/words.py": "OTHER = 1\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("desk_flows.mail", "desk_flows.other"):
        importlib.import_module(name)

    def build(module: str) -> str:
        return fleet.worker_build({module})["build_id"]

    mail, other = build("desk_flows.mail"), build("desk_flows.other")
    assert mail.startswith(f"handrail-{importlib.metadata.version('handrail')}+")
    assert mail != other
    (tmp_path / "desk_steps/words.py").write_text("OTHER = 2\n")
    assert (build("desk_flows.mail"), build("desk_flows.other") != other) == (mail, True)
    (tmp_path / "desk_steps/prompts.py").write_text("ASK = 'What is it then?'\n")
    assert build("desk_flows.mail") != mail
    assert "+" not in build("handrail.runtime.fleet")
    for name in [each for each in sys.modules if each.startswith("desk_")]:
        del sys.modules[name]
