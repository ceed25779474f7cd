"""Reading the documents, and what of the code they speak of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]))
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_in(text: str) -> str:
    """What stands in back-ticks, and in blocks of code."""
    return "\n".join(CODE.findall(text))


def blocks(text: str, language: str) -> Iterator[str]:
    """Blocks of code in a language, without the indentation that a list gives them."""
    for block in re.finditer(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield re.sub(rf"^{block[1]}", "", block[2], flags=re.MULTILINE)


def section(text: str, heading: str) -> str:
    """What stands under a heading, until the next one."""
    _, _, rest = text.partition(f"# {heading}\n")
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables' rows, without the headings."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|---"):
            found.pop()
        elif line.startswith("|"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def anchors(text: str) -> set[str]:
    """The names under which headings can be linked to."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text)
    }


def trees(*packages: str) -> Iterator[ast.Module]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def calls(*packages: str) -> Iterator[tuple[str, list[ast.expr]]]:
    """Every call: the function as it is written there, and its arguments."""
    for tree in trees(*packages):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node.args


def texts(expression: ast.expr) -> Iterator[str]:
    """The texts that an expression may stand for: one, or one of two."""
    if isinstance(expression, ast.IfExp):
        yield from texts(expression.body)
        yield from texts(expression.orelse)
    elif isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value


def functions_in(name: str) -> set[str]:
    """The names of a file's functions and methods."""
    tree = ast.parse(read(name))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
