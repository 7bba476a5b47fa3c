"""Families of input that nobody meant, each a function of a number: see `FAMILIES`."""

import csv
import functools
import hashlib
import io
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compositions import composed, leaves
from fuzzing import Answer, Box, ask, called

from aimarket.calibration.targets import read_targets
from aimarket.claims.registration import REGISTERED, load_claim
from aimarket.composition_cache import conf_dir
from aimarket.data import FOLDER, read_offers
from aimarket.workspaces import CHECKPOINTS, HEADER, as_json

SMALL = ("roster=monopoly", "users.size=40", "run.panel=10", "run.steps=2", "run.replications=1")
RUN = "touch PWNED"
NASTY = (
    *(
        "",
        " ",
        "nan",
        ".nan",
        "inf",
        "-inf",
        "-.inf",
        "-1",
        "0",
        "-0.0",
        "1e308",
        "1e309",
        "-1e309",
        "1e-320",
        "5e-324",
    ),
    *("9" * 30, "9" * 400, "-" + "9" * 5000, "0." + "0" * 400 + "1", "1_000", "0x10", "0o7", "1:30", "2026-13-41"),
    *("25 USD", "3%", "1e3 Mtok", "1,000", "1.5.2", "+-1", "١٢", "½", "²", "null", "~", "true", "yes", "[]", "{}"),
    *("[1]", "[1,[2,[3]]]", "{a: 1}", "{a: {b: {c: 1}}}", "[" * 60 + "]" * 60, "{" * 40, "[" * 400, "(" * 200),
    *("'", '"', "''", '"\\', "\\", "`", "$", "${", "${}", "${{}}", "${nowhere}", "${study}", "${users}", "${..}"),
    *("${users.size}${users.size}", "${oc.env:HOME}", "${oc.env:PATH,x}", "${oc.decode:'{a: 1}'}", "${now:%Y}"),
    *("${hydra:runtime.cwd}", "${oc.create:{a: 1}}", "${oc.dict.keys:users}", "${eval:1+1}", "${oc.select:users}"),
    *("${python_version:}", "${${oc.env:HOME}}", "$(touch PWNED)", "`touch PWNED`", ";touch PWNED", "|touch PWNED"),
    *(f"!!python/object/apply:os.system ['{RUN}']", "!!python/name:os.system", "!!binary aGk=", "!x y", "!!set {a}"),
    *("&a [*a]", "*nobody", "<<: *a", "? a", "- a", "a: b: c", "# x", "%YAML 9.9", "---", "...", "@x", "|", ">"),
    *(
        "é",
        "ﬁ",
        "日本",
        "\u202e",
        "\u0000",
        "\u001b[31m",
        "\u0085",
        "\u2028",
        "\ufeff",
        "\U0001f4a3",
        "\ud800",
        "a\nb",
        "\r",
    ),
    *("../../x", "../secret/file", "/etc/passwd", "~/x", "file:///etc/passwd", "C:\\x", "a/b", ".", "..", "-", "--x"),
    *("x" * 3000, "x" * 100_000, "1,2", "1,2,3,", "range(1,4)", "glob(*)", "sort(3,1)", "choice(a,b)", "int(x)", "???"),
    *("interval(0,1)", "tag(a,1)", "shuffle(1,2)", "range(1,1e9)", "=", "==", "a=b", "?", "*", "_target_", "os.system"),
)


@functools.cache
def keys() -> list[str]:
    """Every key of a market, and some that are none."""
    known = [key for key, _ in leaves(composed("roster=monopoly"))]
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    strange = (
        "",
        " ",
        ".",
        "..",
        "users.",
        ".users",
        "users..size",
        "users.size.value",
        "a b",
        "é",
        "_target_",
        "x" * 500,
        "users/default",
        "pricing@providers.alpha.pricing",
        "providers.zero.cash",
        "users.size.unit",
        "0",
        "hydra",
        "hydra.run.dir",
        "hydra.callbacks.x._target_",
        "hydra/launcher",
        "hydra/job_logging",
        "hydra.searchpath",
        "experiment@hydra.callbacks.x",
        "provider@providers.zero",
        "design.kind",
        "design.parameters",
    )
    return [*known, *groups, *strange]


def value(draws: random.Random) -> str:
    """Something that may stand after a `=`, in quotes or not, whole or with a slip."""
    text = draws.choice(NASTY) if draws.random() < 0.7 else str(draws.choice([1, -1]) * 10 ** draws.uniform(-300, 300))
    if draws.random() < 0.2:
        text = slipped(text, draws)
    return {0: f"'{text}'", 1: f'"{text}"'}.get(draws.randrange(5), text)


def slipped(text: str, draws: random.Random) -> str:
    """A text with a letter too many, too few or another."""
    at = draws.randrange(len(text) + 1)
    letter = draws.choice("{}[](),:;'\"\\$&*!%@#=?<>~^|-_.0 \t\nxé\x00\x7f")
    return draws.choice(
        [text[:at] + letter + text[at:], text[:at] + text[at + 1 :], text[:at] + letter + text[at + 1 :]]
    )


def override(draws: random.Random) -> str:
    """Something that may stand behind a command."""
    if draws.random() < 0.1:
        return draws.choice(NASTY)
    key = draws.choice(keys())
    if draws.random() < 0.15:
        key = slipped(key, draws)
    mark = draws.choice(["", "", "", "", "+", "++", "~"])
    text = f"{mark}{key}={value(draws)}" if mark != "~" or draws.random() < 0.5 else f"~{key}"
    return text.replace("hydra/launcher=", "hydra/launcher=no")  # that is another's ground


def mixed(draws: random.Random, some: list[str]) -> list[str]:
    """Arguments in which the market stays small, whatever is said before."""
    return [*some, f"study=x{draws.randrange(4)}", "outputs=outputs", *SMALL]


# --- families: what the command line is told --------------------------------------------------------------------------


def overrides(draws: random.Random, box: Box) -> Answer:
    some = [override(draws) for _ in range(draws.choice([1, 1, 1, 2, 3]))]
    kept = draws.choice([mixed(draws, some), [*SMALL, "study=x", *some]])
    risky = ("users.size", "run.steps", "run.replications", "run.threads", "run.processes", "run.shards", "outputs")
    if any(item.lstrip("+~").startswith(risky) for item in some):
        kept = mixed(draws, some)
    return ask(box, "run", *kept)


def shown(draws: random.Random, box: Box) -> Answer:
    return ask(box, "data", "show", SMALL[0], *(override(draws) for _ in range(draws.choice([1, 2]))))


def sweeps(draws: random.Random, box: Box) -> Answer:
    """Never run: there is always a point that cannot be."""
    design = draws.choice(["paired", "sobol", "morris", "latin_hypercube", "product", value(draws)])
    parameters = f"{{{draws.choice(keys())}: {value(draws)}, {draws.choice(keys())}: [{value(draws)}, {value(draws)}]}}"
    some = [f"design={design}", f"design.parameters={parameters}"] if draws.random() < 0.4 else [override(draws)]
    return ask(box, "run", "-m", *mixed(draws, some), "users.size=0,-1")


def commands(draws: random.Random, box: Box) -> Answer:
    """Commands and flags that do nothing for long, with arguments that nobody meant."""
    command = draws.choice(
        [
            "status",
            "figures",
            "report",
            "collect",
            "resume",
            "data",
            "collusion",
            "lab",
            "claims",
            "validate",
            "walk",
            "",
            "run",
            "calibrate",
        ]
    )
    flags = [
        "--to",
        "--all",
        "--port",
        "--as-of",
        "--cell",
        "--pair",
        "--trials",
        "--cfg",
        "--package",
        "--info",
        "--resolve",
        "--config-dir",
        "--config-path",
        "--config-name",
        "--experimental-rerun",
        "-sc",
        "-c",
        "-p",
        "--seeds",
    ]
    words = [
        draws.choice([draws.choice(NASTY), draws.choice(flags), f"{draws.choice(flags)}={draws.choice(NASTY)}"])
        for _ in range(draws.randint(1, 3))
    ]
    stop = {
        "lab": ["--port", "x"],
        "validate": ["nosection"],
        "claims": ["noclaim"],
        "calibrate": ["notargets"],
        "run": ["users.size=0"],
        "collusion": ["sessions=0"],
    }
    return ask(box, command, *words, *2 * stop.get(command, []))  # a flag may take the first of them


# --- families: what it reads ------------------------------------------------------------------------------------------

_LAUGHS = "\n".join(f"{b}: &{b} [{','.join(9 * [f'*{a}'])}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
PAYLOADS = (
    f"x: !!python/object/apply:os.system ['{RUN}']",
    f"study: !!python/object/new:os.system ['{RUN}']",
    "a: &a [x,x,x,x,x,x,x,x,x]\n" + _LAUGHS,
    "about: {question: &q [*q]}",
    "about: {question: '${oc.env:HOME}'}",
    "about: {question: '${about.prediction}${about.prediction}', prediction: '${about.question}'}",
    "about: {question: '${hydra:runtime.cwd}', prediction: '${oc.decode:\"1\"}'}",
    f"hydra: {{callbacks: {{x: {{_target_: subprocess.run, args: ['{RUN}']}}}}}}",
    "hydra: {job_logging: {version: 1, handlers: {x: {(): os.system, command: touch PWNED}}}}",
    '"\\x68ydra": {run: {dir: ../../elsewhere}}',
    "defaults: [../../../secret/file]",
    "defaults: [//secret/file]",
    "defaults: [override /roster: ../../secret/file]",
    "defaults: ['${oc.env:HOME}']",
    "defaults: [override /hydra/launcher: on_ray]",
    "defaults: [/experiment@hydra.callbacks: limit/bertrand]",
    "defaults: [fuzzed]",
    "outputs: ../../elsewhere",
    'outputs: "a\\0b"',
    "outputs: /proc/self/x",
    "study: ../../elsewhere",
    'study: "a\\nb"',
    "users.size: 3",
    "users: {size: .nan}",
    "users: {_target_: os.system}",
    "_target_: os.system",
    "providers: null",
    "providers: {é: {}}",
    "users: {segments: {x: &x {depth: *x}}}",
    "x: " + "[" * 3000 + "]" * 3000,
    "x: " + "{a: " * 600 + "1" + "}" * 600,
    "x: " + "y" * 300_000,
    "run: {seed: 1, seed: 2}",
    "- a\n- b",
    "\t",
    "%TAG ! tag:x,2000:\n--- !x {}",
    "!!set {a, b}",
    "? [a, b]\n: c",
    "design: {kind: paired, parameters: {outputs: [/tmp/elsewhere], hydra.run.dir: [x]}}",
)


def _mutated(text: str, draws: random.Random) -> str | bytes:
    """A file that somebody wrote, and what became of it."""
    lines = text.splitlines()
    at = draws.randrange(len(lines))
    what = draws.randrange(9)
    if what == 0:
        return "\n".join([*lines[:at], draws.choice(PAYLOADS), *lines[at:]])
    if what == 1:
        return "\n".join([*lines, draws.choice(PAYLOADS)])
    if what == 2 and ":" in lines[at]:
        key = lines[at].partition(":")[0]
        return "\n".join([*lines[:at], f"{key}: {draws.choice(NASTY)}", *lines[at + 1 :]])
    if what == 3:
        return "\n".join([*lines[:at], *lines[at + 1 :]])
    if what == 4:
        return "\n".join([*lines[:at], lines[at], *lines[at:]])
    if what == 5:
        return text[: draws.randrange(len(text))]
    if what == 6:
        raw = bytearray(text.encode())
        for _ in range(draws.randint(1, 8)):
            raw[draws.randrange(len(raw))] = draws.randrange(256)
        return bytes(raw)
    known = text.replace(draws.choice([": ", "[", "{", "\n  "]), draws.choice(NASTY), draws.randint(1, 3))
    return known if what == 7 else draws.choice(PAYLOADS)


@contextmanager
def _conf(box: Box) -> Iterator[Path]:
    """A copy of the configuration in the box, for as long as the block runs the one that is composed."""
    copy, original = box.root / "conf", conf_dir
    if not copy.is_dir():
        shutil.copytree(original(), copy)
    users = [
        module
        for name, module in [*sys.modules.items()]
        if name.startswith("aimarket") and getattr(module, "conf_dir", None) is original
    ]
    for module in users:
        module.conf_dir = lambda: copy
    try:
        yield copy
    finally:
        for module in users:
            module.conf_dir = original


EXPERIMENT = """# @package _global_
defaults:
  - override /roster: monopoly

study: fuzzed
about: {question: "Is it?", prediction: "It is not."}
run: {steps: 2, panel: 10}
users: {size: 40}
technology:
  rates: {software: 0.2}
"""


def experiment(box: Box, text: str | bytes, *more: str) -> Answer:
    """What `aimarket run` says to a file of one's own in `conf/experiment/`."""
    with _conf(box) as conf:
        path = conf / "experiment" / "fuzzed.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            return ask(box, "run", "experiment=fuzzed", *more, *SMALL[1:])
        finally:
            path.unlink()


def experiments(draws: random.Random, box: Box) -> Answer:
    launcher = ["-m", "run.seed=1,-2", "hydra/launcher=basic"]
    more = draws.choice([[], [], ["-m", "run.seed=0,-1"], ["--cfg", "job"], launcher])
    return experiment(box, _mutated(EXPERIMENT, draws), *more)


def targets(draws: random.Random, box: Box) -> Answer:
    """Targets of a calibration."""
    text = draws.choice(sorted((conf_dir() / "calibration").glob("*.yaml"))).read_text(encoding="utf-8")
    name = box.put("targets.yaml", _mutated(text, draws))
    return called(box, lambda: read_targets(name))


def claims(draws: random.Random, box: Box) -> Answer:
    """A claim of one's own."""
    text = draws.choice(sorted(REGISTERED.glob("*.yaml"))).read_text(encoding="utf-8")
    name = box.put("claim.yaml", _mutated(text, draws))
    return called(box, lambda: load_claim(name))


def offers(draws: random.Random, box: Box) -> Answer:
    """A table of list prices: cells that are missing, negative, of another unit, in another row; rows twice."""
    rows = list(csv.reader(io.StringIO((FOLDER / "offers.csv").read_text(encoding="utf-8"))))
    row = draws.choice(rows)
    what = draws.randrange(6)
    if what < 3:
        row[draws.randrange(len(row))] = draws.choice(NASTY)
    elif what == 3:
        rows.append(list(row))
    elif what == 4:
        row[:] = row[: draws.randrange(len(row))] if draws.random() < 0.5 else [*row, draws.choice(NASTY)]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    text = out.getvalue()
    name = box.put("offers.csv", _mutated(text, draws) if what == 5 else text)
    return called(box, lambda: read_offers(box.work / name))


# --- families: what it wrote itself -----------------------------------------------------------------------------------


@functools.cache
def _study(root: Path) -> Path:
    """A study with a run, a plan, and a run that was interrupted; made once, copied for every case."""
    box = Box(root / "original")
    small = [*SMALL, "outputs=outputs", "study=s"]
    made = ask(box, "run", "-m", "run.seed=1,2", *small)
    assert made.code is None, made
    from aimarket.configuration import load
    from aimarket.simulation import run

    class Interrupted(BaseException):
        pass

    def interrupt(step: int, replication: int) -> None:
        if step == 3:
            raise Interrupted

    with box.entered():
        settings = load([*small, "run.steps=4", "run.checkpoint_every=1"])
        with suppress(Interrupted):
            run(settings, [], interrupt)
    return box.work / "outputs" / "s"


BOMBS = (
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"a":' * 200 + "1" + "}" * 200,
    "9" * 5000,
    "NaN",
    "null",
    "[]",
    "{}",
    '""',
    "",
    '{"a": 1e999}',
    "\ud800",
    "{" + ",".join(f'"k{i}": {{}}' for i in range(1000)) + "}",
)


def _spoiled(path: Path, draws: random.Random) -> None:
    """Harm a file: fewer bytes, other bytes, other values at any depth, a bomb."""
    raw = path.read_bytes()
    what = draws.randrange(6)
    if what == 0:
        raw = raw[: draws.randrange(len(raw))] if raw else raw
    elif what == 1 and raw:
        harmed = bytearray(raw)
        for _ in range(draws.choice([1, 1, 4, 64])):
            harmed[draws.randrange(len(harmed))] = draws.randrange(256)
        raw = bytes(harmed)
    elif what == 2 or path.suffix != ".json":
        raw = draws.choice(BOMBS).encode("utf-8", "surrogatepass") if draws.random() < 0.5 else raw + raw
    else:
        tree = json.loads(raw)
        for _ in range(draws.choice([1, 1, 2])):
            _changed(tree, draws)
        raw = _hashed(tree).encode("utf-8", "surrogatepass")
    path.write_bytes(raw)


def _hashed(tree: dict[str, Any]) -> str:
    """The text of a JSON file of a study with the hash it should have, as far as anybody could write it."""
    try:
        return as_json({key: value for key, value in tree.items() if key != "sha256"})
    except (TypeError, ValueError, AttributeError):
        return json.dumps(tree)


_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1e308,
        10**30,
        "",
        "x",
        "../../../../secret/file",
        "/etc/passwd",
        "a\x00b",
        "\x1b[2J",
        [],
        {},
        [[]],
    ),
    *(
        {"path": "../../../secret/file", "bytes": 7, "sha256": hashlib.sha256(b"secret\n").hexdigest()},
        "é\ud800",
        ["run.seed=1", 3],
    ),
)


def _changed(tree: Any, draws: random.Random) -> None:
    """Another value somewhere in a tree, or one less."""
    places = []
    stack = [tree]
    while stack:
        node = stack.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                stack.append(node[key])
    if places:
        node, key = draws.choice(places)
        if draws.random() < 0.2:
            del node[key]
        else:
            node[key] = draws.choice(_VALUES)


def _resealed(study: Path, draws: random.Random) -> None:
    """Harm a file that another describes by its hash, and put the hash right: the reader has to look inside."""
    (header,) = study.glob(f"{CHECKPOINTS}/*/*/{HEADER}")
    tree = json.loads(header.read_text())
    described = draws.choice([tree["state"], *tree["rows"]])
    file = header.parent / described["path"]
    _spoiled(file, draws)
    described |= {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    header.write_text(_hashed(tree))


def results(draws: random.Random, box: Box) -> Answer:
    """Manifests, plans, tables and checkpoints of a study."""
    original = _study(box.root.parent)
    study = box.work / "outputs" / "s"
    shutil.rmtree(study, ignore_errors=True)
    shutil.copytree(original, study)
    command = draws.choice(["status", "collect", "collect", "resume", "resume", "resume", "figures", "report"])
    where = {"resume": f"{CHECKPOINTS}/*/*/*", "status": "[pr]*s/*.json"}.get(command, "r*s/*.json")
    if command == "resume" and draws.random() < 0.4:
        _resealed(study, draws)
    else:
        files = sorted(study.glob(where)) + (sorted(study.glob("m*/*.parquet")) if command == "collect" else [])
        _spoiled(draws.choice([file for file in files if file.is_file()]), draws)
    return ask(box, command, "s")


FAMILIES: dict[str, tuple[Callable[[random.Random, Box], Answer], int]] = {  # and how many of a thousand cases
    "overrides": (overrides, 200),
    "shown": (shown, 30),
    "sweeps": (sweeps, 20),
    "commands": (commands, 100),
    "experiments": (experiments, 30),
    "targets": (targets, 100),
    "claims": (claims, 150),
    "offers": (offers, 150),
    "results": (results, 100),
}  # the requests of the page, 120, are in `lab_requests`


def tried(family: str, case: int, root: Path) -> list[str]:
    """What went wrong in a case, in words."""
    box = Box(root / "box")
    before = box.outside()
    draws = random.Random(f"{family} {case}")
    answer = FAMILIES[family][0](draws, box)
    faults = answer.faults()
    given = {f"{box.work}/{name}" for name in ("targets.yaml", "claim.yaml", "offers.csv")}
    conf = str(box.root / "conf")
    faults += [
        f"left {path}"
        for path, size in box.outside().items()
        if before.get(path) != size and path not in given and not path.startswith(conf)
    ]
    if (box.work / "PWNED").exists() or Path("PWNED").exists():
        faults.append("code was run")
    return [f"{fault}: {answer.err[-300:]!r}" for fault in faults]
