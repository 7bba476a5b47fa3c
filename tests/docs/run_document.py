"""Run the code blocks of a Markdown document in order, in the current folder: `run_document.py FILE [LANGUAGE ...]`.

```python blocks share one namespace. ```sh blocks hold `aimarket …` commands, which go to the command line's own door.
A block that names a path, such as ```yaml conf/x.yaml, is a file of the repository, written there by whoever calls.
"""

import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^```(?P<language>\w+)(?: +(?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    path: str | None
    text: str
    line: int


def blocks(document: Path) -> list[Block]:
    """Every fenced block that names its language."""
    text = document.read_text(encoding="utf-8")
    found = FENCE.finditer(text)
    return [Block(m["language"], m["path"], m["text"], text.count("\n", 0, m.start()) + 2) for m in found]


def commands(text: str) -> list[list[str]]:
    """The commands of a shell block as words, comments left out."""
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def run(document: Path, *languages: str) -> None:
    """Run the blocks of these languages, python and sh if none is named."""
    from aimarket.cli import main

    namespace = {"__name__": "__main__"}
    for block in blocks(document):
        if block.path or block.language not in (languages or ("python", "sh")):
            continue
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.text  # so that a traceback names the line of the document
            exec(compile(code, str(document), "exec"), namespace)
            continue
        for program, *arguments in commands(block.text):
            if program != "aimarket":
                raise ValueError(f"{document}: {program} is not a command of this package")
            main(arguments)


if __name__ == "__main__":
    run(Path(sys.argv[1]), *sys.argv[2:])
