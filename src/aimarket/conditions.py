"""What became of a run, by what a study holds of it."""

from pathlib import Path
from typing import Literal, NamedTuple

from aimarket.schema import schema_version
from aimarket.workspaces import read_json, within

RUNS = "runs"


def manifest_path(folder: Path, run_id: str) -> Path:
    """Where a study keeps the manifest of a run."""
    return Path(folder) / RUNS / f"{run_id}.json"


class Condition(NamedTuple):
    """What a study holds of a run; `reason` says why it is not done."""

    state: Literal["done", "failed", "stale", "absent"]
    reason: str = ""


def condition(folder: Path, run_id: str) -> Condition:
    """What became of a run: done is complete, in today's schema, with every file of the size its manifest says."""
    try:
        manifest = read_json(manifest_path(folder, run_id))
        if manifest["status"] == "failed":
            return Condition("failed", str(manifest.get("error", "")))
        if manifest["schema"] != schema_version():
            return Condition("stale", f"of schema {manifest['schema']}, not {schema_version()}")
        for file in manifest["files"].values():
            path = within(Path(folder), file["path"])
            if not path.is_file():
                return Condition("stale", f"{file['path']} is missing")
            if path.stat().st_size != file["bytes"]:
                return Condition("stale", f"{file['path']} is torn")
        return Condition("done") if manifest["status"] == "complete" else Condition("stale", "of unknown status")
    except FileNotFoundError:
        return Condition("absent")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Condition("stale", "its manifest cannot be read")


def finished(folder: Path, run_id: str) -> bool:
    """Whether the study holds this run done."""
    return condition(folder, run_id).state == "done"
