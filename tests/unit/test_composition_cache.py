"""Kept compositions: as Hydra composes them, and never stale."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aimarket import composition, composition_cache
from aimarket.complaints import SettingsError
from aimarket.composition import FAULTS, compose_plain, plain

CHOICES = [
    "roster=duopoly",
    "roster=monopoly",
    "policy=price_cap",
    "technology=frozen",
    "shock=demand_surge",
    "experiment=maturity/contestable",
    "experiment=limit/bertrand",
]
VALUES = [
    "users.size=300",
    "run.seed=7",
    "finance.tax_rate=0.1",
    "finance.equity=null",
    "finance.equity.round=3",  # nowhere to go after the one above
    "hardware.discount_rate=1e-2",
    "study='a, b'",
    "study=a-b",
    "record.tables=[market,providers]",
    "record.tables=[]",
    "policy.start=${run.steps}",
    "policy.start=???",
    "+policy.note=x",
    "~run.seed",
    "geography.profiles.work={a: 1}",
    "hardware.service_life=[1,2]",
    "policy.merger={acquirer: a, target: b}",
    "run.nothing=3",
    "run.seed=1,2",
    "hydra.job.chdir=false",
    "run=3",
    "finance=3",
]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A cache of its own, and nothing in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(composition_cache, "_KNOWN", {})
    return tmp_path / "cache" / "aimarket"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small configuration that may be changed."""
    files = {
        "config": "defaults: [run: default, roster: real, _self_]\nstudy: default\n",
        "run/default": "seed: 1\nsteps: 5\n",
        "roster/real": "firms: [a, b]\n",
        "roster/duopoly": "firms: [a, b]\nlike: {cost: 1.5}\n",
    }
    for name, text in files.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(composition, "conf_dir", lambda: tmp_path / "conf")
    return tmp_path / "conf"


@given(
    st.lists(st.sampled_from(CHOICES), max_size=2, unique_by=lambda choice: choice.partition("=")[0]),
    st.lists(st.sampled_from(VALUES), max_size=3, unique=True),
    st.randoms(use_true_random=False),
)
@settings(max_examples=10, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_kept_composition_is_the_one_hydra_makes(choices, values, random):
    small = [] if any("roster" in one for one in choices) else ["roster=monopoly"]  # Hydra is slow over many firms
    overrides = [*small, *choices, *values]
    random.shuffle(overrides)
    try:
        expected = plain(composition._compose(overrides))
    except FAULTS:
        with pytest.raises(SettingsError):
            compose_plain(overrides)
    else:
        assert compose_plain(overrides) == expected


@pytest.mark.parametrize(
    "override", ["run.seed=1,2", "run.seed=range(3)", "run.seed=???", "run.no=1", "run.seed={a: 1}"]
)
def test_what_is_more_than_a_plain_value_is_left_to_hydra(empty, tree, override):
    assert composition._from_cache([override], b"") is None
    assert composition._from_cache(["run.seed=3"], b"")["run"]["seed"] == 3


def test_it_is_composed_once_and_read_again(empty, tree, monkeypatch):
    first = compose_plain(["roster=duopoly", "run.seed=1"])
    (file,) = empty.glob("*.json")
    monkeypatch.setattr(composition, "_compose", lambda overrides: pytest.fail("composed again"))
    second = compose_plain(["run.seed=2", "roster=duopoly"])  # values are no part of what is kept
    assert (first["run"].pop("seed"), second["run"].pop("seed")) == (1, 2)
    assert second == first
    composition_cache._KNOWN.clear()  # another process
    assert compose_plain(["roster=duopoly", "run.seed=3"])["run"]["seed"] == 3
    assert json.loads(file.read_text()).keys() == second.keys()
    second["run"].clear()  # what one caller does to his is nothing to the next
    assert compose_plain(["roster=duopoly"])["run"]


def test_what_is_wrong_is_found_in_what_was_composed_before(empty, tree, monkeypatch):
    compose_plain(["roster=duopoly"])
    compose, asked = composition._compose, []
    monkeypatch.setattr(composition, "_compose", lambda overrides: asked.append(overrides) or compose(overrides))
    wrong = ["roster=duopoly", "run.seed=2", "run.no=1"]
    with pytest.raises(SettingsError, match=r"run\.no: unknown key"):
        compose_plain(wrong)
    assert asked == [wrong]  # whether Hydra takes it


def test_a_changed_file_is_seen_at_once(empty, tree):
    file = tree / "run" / "default.yaml"
    before, text = compose_plain([])["run"]["steps"], file.read_text()
    file.write_text(text.replace(f"steps: {before}", f"steps: {before + 1}"))
    assert compose_plain([])["run"]["steps"] == before + 1
    file.write_text(text)
    assert compose_plain([])["run"]["steps"] == before
    (tree / "run" / "short.yaml").write_text("defaults: [default]\nsteps: 3\n")
    assert compose_plain(["run=short"])["run"]["steps"] == 3


def test_what_depends_on_values_elsewhere_is_left_to_hydra(empty, tree):
    file = tree / "run" / "default.yaml"
    file.write_text(file.read_text() + "\nhalf: ${run.seed}\n")
    assert [compose_plain([f"run.seed={seed}"])["run"]["half"] for seed in (5, 6)] == [5, 6]
    file.write_text(file.read_text().replace("${run.seed}", "???"))
    assert compose_plain(["run.half=2"])["run"]["half"] == 2


def test_a_torn_file_is_composed_anew_and_a_disk_that_refuses_harms_nothing(empty, tree):
    whole = compose_plain([])
    (file,) = empty.glob("*.json")
    file.write_text(file.read_text()[:100])
    composition_cache._KNOWN.clear()
    assert compose_plain([]) == whole
    assert json.loads(file.read_text()) == whole
    composition_cache._KNOWN.clear()
    shutil.rmtree(empty)
    empty.write_text("no folder")
    assert compose_plain([]) == whole


def test_only_so_many_are_kept(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(composition_cache, "_MOST", 3)
    for number in range(5):
        made = {"number": number}
        assert composition_cache.kept(b"none", [str(number)], lambda made=made: made) == made
    assert len(list(empty.iterdir())) == 3


def test_what_json_cannot_hold_is_not_kept(empty, tmp_path):
    assert composition_cache.kept(b"", [], lambda: {1: "one"}) == {1: "one"}
    assert not empty.exists()
