"""`python -m aimarket` is the command `aimarket`."""

from aimarket.cli import main

main()
