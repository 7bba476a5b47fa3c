"""What stands behind a command on the command line."""

import argparse
from typing import NoReturn

from aimarket.complaints import fail


class Options(argparse.ArgumentParser):
    """The options and arguments of a command; what is wrong with them is told in one line."""

    def error(self, message: str) -> NoReturn:
        fail(f"{self.prog.removeprefix('aimarket ')}: {message}; `{self.prog} --help` tells more")
