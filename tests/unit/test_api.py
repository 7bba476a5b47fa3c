"""The package in a notebook, without Hydra's main."""

import numpy as np
import pandas as pd
import pytest

import aimarket

SMALL = ["roster=duopoly", "users.size=400", "run.panel=100", "run.steps=4"]


def test_load_and_simulate_give_frames_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = aimarket.load([*SMALL, "run.seed=3", "run.replications=2"])
    results = aimarket.simulate(settings)
    assert isinstance(results.offers, pd.DataFrame)
    assert len(results.market) == 2 * 4
    assert set(results.providers["provider"]) == {"alpha", "beta"}
    assert not list(tmp_path.iterdir())
    first, second = (frame.drop(columns="replication") for _, frame in results.market.groupby("replication"))
    assert not np.allclose(first["spend"], second["spend"], rtol=1e-9)  # replications differ


def test_settings_are_frozen():
    settings = aimarket.load(SMALL)
    with pytest.raises(Exception, match=r"frozen|cannot assign"):
        settings.run.seed = 5


def test_what_is_exported_exists_and_nothing_else():
    assert all(hasattr(aimarket, name) for name in aimarket.__all__)
    assert set(aimarket.__all__) <= set(dir(aimarket))
    with pytest.raises(AttributeError, match="'aimarket' has no attribute 'lod'"):
        _ = aimarket.lod
