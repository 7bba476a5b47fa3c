"""A figure as SVG inside a page: text as text, colours that follow the page, no number that has another's id."""

import io
import re
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from aimarket.report import style

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_PIXELS = 96 / 72  # CSS pixels a point
# Light and dark shade of what is drawn. The dark ones have the hues of the light ones and stand out from #14171A
# with a contrast of 4.5 : 1 or more.
_DARK = ("#4BA3DB", "#F28A4B", "#2FC99A", "#E39BC5", "#F0B429", "#7CC8F2")
_NEUTRAL = {style.INK: "#E8EAED", style.GREY: "#B4B9BF", "#888888": "#8A9097", "#E4E4E4": "#2E3338"}
SHADES = {
    **{f"c{place}": pair for place, pair in enumerate(zip(style.COLOURS, _DARK, strict=True))},
    **{
        f"t{place}": (to_hex(style.text_ink(light)), dark)
        for place, (light, dark) in enumerate(zip(style.COLOURS, _DARK, strict=True))
    },
    **{f"n{place}": pair for place, pair in enumerate(_NEUTRAL.items())},
    "rest": (style.REST, "#A2A8AE"),
    "page": ("#ffffff", "#14171A"),
}

_NO_TEXT = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])  # characters that XML cannot hold


def inline_svg(figure: Figure, name: str, alternative: str) -> str:
    """Write the figure for a page of HTML; call inside `house_style()`.

    name        : starts every id, so that no two figures of a page share one
    alternative : the figure in a sentence, for who cannot see it
    returns     : an element <svg> whose width is that of the page, and whose colours are the page's variables
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    text = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(text.getvalue().translate(_NO_TEXT))
    for group in [element for element in root if element.tag.endswith("metadata")]:
        root.remove(group)
    for element in root.iter():
        _tidy(element, name)
    width = figure.get_size_inches()[0] * 72 * _PIXELS
    del root.attrib["height"], root.attrib["width"], root.attrib["version"]
    root.set("role", "img")
    root.set("aria-label", alternative)
    root.set("style", f"--natural: {width:.0f}px")
    written = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    return re.sub(r">\s+<", "><", written)


def _tidy(element: ElementTree.Element, name: str) -> None:
    """Own ids, plain links, two decimals, the page's colours and font."""
    link = element.attrib.pop(f"{{{_LINK}}}href", None)
    if link:
        element.set("href", f"#{name}-{link[1:]}")
    for key, value in list(element.attrib.items()):
        if key == "id":
            if element.tag.endswith("}g"):
                del element.attrib["id"]  # nobody points at a group
                continue
            element.set("id", f"{name}-{value}")
        elif key == "style":
            element.set(key, _styled(value, name))
        elif key == "d":
            element.set(key, _short_path(value))
        elif key in ("points", "transform", "x", "y"):
            element.set(key, _rounded(value, 2))
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        if key in ("fill", "stroke"):
            element.set("style", _styled(f"{key}: {value}; {element.attrib.pop('style', '')}", name))


def _rounded(numbers: str, digits: int) -> str:
    return re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), digits) + 0.0:g}", numbers)


def _short_path(path: str) -> str:
    """Tenths of a point, and lines without their letter: a path of pairs is a path of lines."""
    path = _rounded(path, 1 if len(path) > 500 else 2)
    return re.sub(r"\s+", " ", path if re.search("[CQ]", path) else path.replace("L ", "")).strip()


def _styled(text: str, name: str) -> str:
    text = re.sub(r"font:[^;]*?([\d.]+)px[^;]*", lambda size: f"font-size: {size[1]}px", text)
    text = re.sub(r"font-family:[^;]*;?", "", text).replace("url(#", f"url(#{name}-")
    for shade, (light, _) in SHADES.items():
        text = re.sub(rf"(fill|stroke): {light}\b", rf"\1: var(--{shade})", text, flags=re.IGNORECASE)
    return text.strip()


def shades(dark: bool) -> str:
    """The page's variables of colour, for a light page or a dark one."""
    return " ".join(f"--{name}: {pair[dark].lower()};" for name, pair in SHADES.items())
