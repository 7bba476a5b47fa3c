"""The market under Mesa's own tools."""

import multiprocessing
import subprocess
import sys

import mesa
import pytest

import aimarket
from aimarket.mesa_model import MarketModel, ProviderAgent

SMALL = ["roster=duopoly", "users.size=400", "run.panel=100", "run.steps=4"]
REPORTERS = {"lerner": lambda model: model.market.tables["market"]["lerner"]}


def lerner(*overrides: str) -> list[float]:
    return aimarket.simulate(aimarket.load([*SMALL, *overrides])).market["lerner"].tolist()


@pytest.fixture
def start_method():
    """`batch_run` sets it for the whole process."""
    before = multiprocessing.get_start_method(allow_none=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_it_steps_and_collects_what_the_market_measures():
    model = MarketModel(aimarket.load(SMALL), model_reporters=REPORTERS, agent_reporters={"cash_cost": "cash_cost"})
    model.step()
    model.run_for(3)
    assert model.steps == model.market.steps == model.time == 4
    assert not model.running  # as many steps as the settings say
    assert model.datacollector.get_model_vars_dataframe()["lerner"].tolist() == lerner()
    costs = model.datacollector.get_agent_vars_dataframe()["cash_cost"].unstack()
    assert costs.loc[4].tolist() == [p.cash_cost for p in model.market.providers]


def test_its_agents_are_the_providers():
    model = MarketModel(aimarket.load(SMALL))
    assert [agent.name for agent in model.agents] == ["alpha", "beta"]
    assert [agent.unique_id for agent in model.agents_by_type[ProviderAgent]] == [1, 2]
    model.step()
    assert model.agents.get("active") == [True, True]
    assert model.agents.select(lambda agent: agent.index == 1).get("provider") == [model.market.providers[1]]
    with pytest.raises(AttributeError, match="no_such"):
        _ = model.agents[0].no_such


def test_batch_run_takes_settings_and_seeds(start_method):
    settings = [aimarket.load([*SMALL, f"finance.tax_rate={rate}"]) for rate in (0.1, 0.3)]
    parameters = {"settings": settings, "model_reporters": [REPORTERS]}
    rows = mesa.batch_run(MarketModel, parameters, rng=[3, 4], data_collection_period=1, display_progress=False)
    assert len(rows) == 2 * 2 * 4
    for row in (row for row in rows if row["Step"] == 4):
        rate = row["settings"].finance.tax_rate
        assert row["lerner"] == lerner(f"finance.tax_rate={rate}", f"run.seed={row['rng']}")[-1]


def test_without_mesa_one_line_says_what_to_install():
    script = "import sys; sys.modules['mesa'] = None; import aimarket.mesa_model"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: aimarket.mesa_model needs Mesa: pip install")
