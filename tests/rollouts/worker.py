"""The fleet of a `handrail worker` of this trial: a build of the kind that it is told."""

import os

from tests.agents.rolled import built

fleet = built(os.environ["ROLLOUTS_ROOM"], os.environ["ROLLOUTS_KIND"])
