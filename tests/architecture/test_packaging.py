"""The promises of the set-up: a lock that pins by hash, files that name no machine, and documents that agree."""

import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from aimarket.configuration import conf_dir

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/")


def own_files() -> list[str]:
    """Every file that git tracks or would track, relative to the root."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def requirements(lock: Path) -> dict[str, str]:
    """{name==version and marker: hashes} of a lock file."""
    text = "\n".join(line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    starts = [match.start() for match in re.finditer(r"^\S", text, re.MULTILINE)] + [len(text)]
    entries = (text[start:end].partition("--hash=") for start, end in pairwise(starts))
    return {head.rstrip("\\ \n"): mark + hashes for head, mark, hashes in entries}


def test_there_is_a_lock_for_each_purpose():
    assert [lock.name for lock in LOCKS] == ["audit.txt", "dev.txt", "oldest.txt", "runtime.txt", "uv.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock):
    for requirement, hashes in requirements(lock).items():
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ;|$)", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", hashes), requirement


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_an_address(lock):
    text = lock.read_text(encoding="utf-8")
    for word in ("://", "--index", "--extra-index", "--find-links", "--trusted-host", "# via"):
        assert word not in text, word


def test_the_development_lock_extends_the_runtime_lock():
    runtime, development = (set(requirements(ROOT / "requirements" / name)) for name in ("runtime.txt", "dev.txt"))
    assert {pin.partition(" ;")[0] for pin in runtime} <= {pin.partition(" ;")[0] for pin in development}


def test_every_dependency_is_locked():
    locked = {pin.partition("==")[0] for pin in requirements(ROOT / "requirements" / "runtime.txt")}
    for dependency in PROJECT["dependencies"]:
        assert re.split(r"[\[<>=!~ ]", dependency)[0] in locked, dependency


def test_lower_bounds_are_the_versions_that_are_tested_with():
    """Of what runs need, and of the extras that `make test-oldest` has."""
    tested = {pin.partition("==")[0]: pin for pin in requirements(ROOT / "requirements" / "oldest.txt")}
    extras = PROJECT["optional-dependencies"]
    for dependency in sum((extras[name] for name in ("lab", "mesa", "studies", "tests")), PROJECT["dependencies"]):
        name, bound = re.match(r"([A-Za-z0-9-]+).*?>=([0-9.]+)", dependency).groups()  # type: ignore[union-attr]
        assert re.match(rf"{name}==({re.escape(bound)})(\.0)*( ;|$)", tested[name.lower()], re.IGNORECASE), dependency


def test_python_version_is_committed():
    assert ".python-version" in own_files()
    version = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert PROJECT["requires-python"] == f">={version}"


def test_no_file_names_a_machine():
    for name in own_files():
        content = (ROOT / name).read_bytes()
        if b"\0" in content:
            continue
        for path in MACHINE_PATHS:
            assert path.encode() not in content, f"{name} names {path}"


def test_readme_gives_two_commands_and_every_one_is_a_target():
    readme, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    commands = set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert commands == {"demo", "test"}
    assert commands <= targets


def test_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert top is not None
    assert top[1] == PROJECT["version"]


def test_a_checkout_uses_its_own_configuration():
    assert conf_dir() == ROOT / "conf"
