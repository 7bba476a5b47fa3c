"""`aimarket lab`: Market Lab, a page for a class."""

import importlib.util

from aimarket.complaints import SettingsError
from aimarket.options import Options


def main(arguments: list[str]) -> None:
    parser = Options("aimarket lab", description="Serve Market Lab, a page for a class, and open it.")
    parser.add_argument("--port", type=int, default=8765, help="default: 8765; 0: any that is free")
    parser.add_argument("--no-browser", action="store_true", help="only say where the page is")
    parser.add_argument("--lan", action="store_true", help="serve the local network too, for the students' own screens")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        raise SettingsError(f"--port: should be a whole number from 0 to 65535 (got {options.port})")
    if not all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn")):
        raise SettingsError("lab: starlette and uvicorn are not installed; pip install 'aimarket[lab]'")
    from aimarket.lab.serving import serve

    serve(options.port, options.lan, not options.no_browser)
