"""Where the configuration lives: the YAML tree `conf/`, in a checkout or inside the installed package."""

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder of the configuration tree.

    An installed wheel carries the tree as `aimarket/conf`; a checkout has it at the root of the repository.

    raises : FileNotFoundError      if neither is there
    """
    package = Path(__file__).resolve().parent
    packaged, checkout = package / "conf", package.parents[1] / "conf"
    if packaged.is_dir():
        return packaged
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    raise FileNotFoundError(f"aimarket: no configuration in {packaged} or {checkout}; the installation is incomplete")
