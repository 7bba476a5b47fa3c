"""Whatever is recorded comes back, and whenever the writer is killed nothing looks complete that is not."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

import aimarket.schema
from aimarket.recorder import Recorder, Recording, write
from aimarket.recording import KEYS
from aimarket.results import open_results
from aimarket.schema import TABLES

VALUES = {
    "float64": st.floats(allow_infinity=False),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "string": st.text(st.characters(codec="utf-8"), max_size=5),
}


@st.composite
def rows(draw: st.DrawFn, table: str) -> dict[str, Any]:
    """Columns of a table: each a scalar or an array of one length, drawn from a few values for speed."""
    count = draw(st.integers(0, 4))
    pools = {kind: draw(st.lists(values, min_size=1, max_size=4)) for kind, values in VALUES.items()}
    made: dict[str, Any] = {}
    for i, column in enumerate(c for c in TABLES[table] if c.name not in KEYS):
        pool = pools[column.kind]
        picked = [pool[(i + j) % len(pool)] for j in range(count)]
        made[column.name] = pool[0] if i == 1 else picked
    return made


@settings(max_examples=30, deadline=None)
@given(data=st.data(), table=st.sampled_from(list(TABLES)), replications=st.integers(1, 3))
def test_what_is_recorded_comes_back_from_disk_and_its_bytes_do_not_depend_on_the_path(
    data: st.DataObject, table: str, replications: int
) -> None:
    recordings, expected = [], {c.name: [] for c in TABLES[table] if c.name not in KEYS}
    for replication in range(replications):
        made = Recorder("run")
        made.add("market", replication, 1, 0.5, dict.fromkeys((c.name for c in TABLES["market"][4:]), 0.0))
        for step in range(1, data.draw(st.integers(1, 3)) + 1):
            columns = data.draw(rows(table))
            made.add(table, replication, step, step / 12, columns)
            length = next(len(v) for v in columns.values() if isinstance(v, list))
            for name, values in columns.items():
                expected[name] += values if isinstance(values, list) else [values] * length
        recordings.append(made.take())
    told = {"run_id": "run", "settings": {}, "overrides": [], "seed": 0, "versions": {}, "seconds": {}}
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder)
        write(recordings, outputs / "a", {**told, "replications": replications}, "c")
        write(Recording.join(recordings), outputs / "b", {**told, "replications": replications}, "c")
        for name in TABLES:
            assert (outputs / f"a/{name}/run.parquet").read_bytes() == (outputs / f"b/{name}/run.parquet").read_bytes()
        frame = open_results("a", outputs).frame(table)
    if table == "market":
        frame = frame[frame["year"] != 0.5]
    for column in TABLES[table][len(KEYS) :]:
        if column.kind == "float64":
            np.testing.assert_array_equal(frame[column.name].to_numpy(), np.array(expected[column.name], float))
        else:
            assert frame[column.name].tolist() == expected[column.name]


# ── kill -9 ──

KILLER = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from aimarket.recorder import Recorder, write
from aimarket.recording import KEYS
from aimarket.schema import TABLES

values = np.random.default_rng(1).normal(size=1000)
made_up = {"float64": values, "int32": [1] * 1000, "bool": values > 0, "string": ["alpha"] * 1000}
replications = []
for replication in range(3):
    made = Recorder("run")
    for table, columns in TABLES.items():
        made.add(table, replication, 1, 0.1, {c.name: made_up[c.kind] for c in columns if c.name not in KEYS})
    replications.append(made.take())
told = {"settings": {}, "overrides": [], "seed": 0, "versions": {}, "seconds": {}, "replications": 3, "run_id": "run"}

for delay in sys.stdin:  # a fresh process for each kill, forked so that the imports are paid for once
    writer = os.fork()
    while writer == 0:  # the same run again and again: most kills fall into the middle of one
        write(replications, Path(sys.argv[1]), told, "c")
    time.sleep(float(delay))
    os.kill(writer, signal.SIGKILL)
    status = os.waitpid(writer, 0)[1]
    print(os.WTERMSIG(status), flush=True)
"""


def assert_whole(study: Path) -> None:
    """Every file in place is readable to its end, and a manifest describes the files that are there."""
    for path in (path for table in TABLES for path in (study / table).glob("*")):
        assert path.name == "run.parquet"
        assert pq.read_table(path).num_rows == 3_000
    for path in (study / "runs").glob("*"):
        for described in json.loads(path.read_text())["files"].values():
            data = (study / described["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == described["sha256"]
        assert len(open_results(study).market) == 3_000


def test_a_writer_killed_at_any_moment_leaves_nothing_that_looks_complete_and_is_not(tmp_path: Path) -> None:
    source = str(Path(aimarket.schema.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", KILLER, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        for delay in np.random.default_rng(1).uniform(0, 0.3, 15):
            killer.stdin.write(f"{delay}\n")
            killer.stdin.flush()
            assert killer.stdout.readline() == f"{int(signal.SIGKILL)}\n"  # killed, not fallen over by itself
            assert_whole(tmp_path)
            assert len(list((tmp_path / ".partial").glob("*"))) <= 1  # what the dead left is cleared by the next
