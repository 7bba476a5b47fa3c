"""The package in a notebook, without Hydra's main."""

import itertools
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import aimarket
from aimarket import recording
from aimarket.simulation import run, seconds_by_phase
from aimarket.stopwatch import PHASES

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


def test_what_is_written_part_by_part_is_what_is_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "STEPS_IN_PART", 3)
    settings = aimarket.load([*SMALL, "run.steps=7", "run.replications=2", "run.processes=1", f"outputs={tmp_path}"])
    kept = aimarket.simulate(settings)
    path = run(settings)
    for table, whole in kept.tables.items():
        written = pq.ParquetFile(tmp_path / settings.study / table / f"{path.stem}.parquet")
        assert written.read().to_pandas().equals(whole.to_pandas())  # nan is equal to nan
        if table != "events":  # of which there may be none
            assert written.num_row_groups == 2 * 3
    assert json.loads(path.read_text())["seconds"].keys() == {"build", "record", *PHASES}


def test_time_is_told_by_phase():
    ticks = itertools.count()
    seconds = seconds_by_phase(aimarket.load([*SMALL, "run.replications=2"]), clock=lambda: float(next(ticks)))
    assert seconds == {"build": 2.0, "record": 2 * (4 + 1.0)} | dict.fromkeys(PHASES, 2 * 4.0)


def test_settings_are_frozen():
    settings = aimarket.load(SMALL)
    with pytest.raises(Exception, match=r"frozen|cannot assign"):
        settings.run.seed = 5


def test_what_is_exported_exists_and_nothing_else():
    assert all(hasattr(aimarket, name) for name in aimarket.__all__)
    assert set(aimarket.__all__) <= set(dir(aimarket))
    with pytest.raises(AttributeError, match="'aimarket' has no attribute 'lod'"):
        _ = aimarket.lod
