"""No market that the documentation allows makes the check cry wolf: its laws hold in every corner."""

import json

import pytest
from compositions import changed
from drawing import Keyed, base_of, draw_from

from aimarket import simulate
from aimarket.audit.frame import Frame
from aimarket.audit.run import examine
from aimarket.configuration import run_id, settings_dict, validate

ROSTERS = ("oligopoly", "duopoly", "monopoly", "textbook", "real")
PER_YEAR = (12, 12, 4, 2, 52)


@pytest.mark.parametrize("case", range(50))
def test_what_any_market_records_is_clean(case: int) -> None:
    """Groups, rules, switches, policies and numbers in their ranges; steps of half a year to a week."""
    base = base_of(ROSTERS[case % 5])
    several = {"run.steps": 8, "run.steps_per_year": PER_YEAR[case // 5 % 5], "run.replications": 1 + case % 2}
    settings = validate(changed(draw_from(Keyed(case), base).config(base), several))
    plain = json.loads(json.dumps(settings_dict(settings)))
    frame = Frame.of(run_id(settings), plain, range(settings.run.replications), settings.run.steps)
    assert examine(frame, simulate(settings).tables) == []
