"""The import rule: data flows one way, so imports do too, and never in a circle.

Run as a program by `make check`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDING_BLOCKS = {"bounded", "model", "errors", "adapter", "http", "runtime", "storable", "text"}
OURS = {"gateway", "adapters", "sandbox", "live", "tests", "bench", "faults"}
MAY_IMPORT = {
    "gateway": {"gateway"},
    "adapters": {"adapters", "gateway"},
    "sandbox": {"sandbox", "gateway"},
    "live": {"live", "sandbox", "gateway"},
}
MUST_NOT_SEE = {
    "gateway.relay.to_chatwoot": {"gateway.relay.to_network"},
    "gateway.relay.to_network": {"gateway.relay.to_chatwoot"},
    "gateway.lanes": {
        "gateway.clock",
        "gateway.config",
        "gateway.intake",
        "gateway.observability",
        "gateway.relay",
        "gateway.storage",
        "gateway.web",
    },
    "gateway.chatwoot": {"gateway.lanes"},
}
"""Rooms of the gateway, and those that they must not import from."""
WITHOUT_CIRCLES = ("gateway", "sandbox")


def violations(root: Path) -> Iterator[str]:
    """Every import in `root` that the rule forbids, as `file:line: why`; then a circle of each
    package that has one."""
    for package, allowed in MAY_IMPORT.items():
        for path in sorted((root / package).rglob("*.py")):
            for line, module in _imports(path, root):
                if why := _forbidden(package, allowed, path.relative_to(root), module):
                    yield f"{path.relative_to(root)}:{line}: {why}"
    for package in WITHOUT_CIRCLES:
        if circle := _circle(_graph(package, root)):
            yield f"{package}: these import each other in a circle: {' → '.join(circle)}"


def _graph(package: str, root: Path) -> Mapping[str, set[str]]:
    """Each module of a package, and those of the package that it names in an import: also those
    that only the type checker follows, since a reader follows them too."""
    files = {_module(path.relative_to(root)): path for path in (root / package).rglob("*.py")}
    return {
        module: {
            found
            for _, name in _imports(path, root)
            if (found := name if name in files else name.rpartition(".")[0]) in files
        }
        for module, path in sorted(files.items())
    }


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The first circle that is found, its first module once more at the end; else empty."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _module(path: Path) -> str:
    names = path.with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _forbidden(package: str, allowed: set[str], path: Path, module: str) -> str:
    names = module.split(".")
    if names[0] not in OURS:
        return ""
    if names[0] not in allowed:
        return f"{package} must not import {module}"
    if package == "adapters" and names[0] == "gateway" and set(names[1:2]) - BUILDING_BLOCKS:
        return f"an adapter must not import {module}, only gateway's building blocks"
    if (
        package == "adapters"
        and names[0] == "adapters"
        and _kind(names) not in {"", _kind(path.parts)}
    ):
        return f"an adapter must not import another one ({module})"
    return _forbidden_between_rooms(path, module)


def _forbidden_between_rooms(path: Path, module: str) -> str:
    here = ".".join(path.with_suffix("").parts)
    for room, others in MUST_NOT_SEE.items():
        for other in others:
            if _is_in(here, room) and _is_in(module, other):
                return f"{room} must not import from {other} ({module})"
    return ""


def _is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _kind(names: list[str] | tuple[str, ...]) -> str:
    """Which adapter a dotted name or a path belongs to."""
    return names[1].removesuffix(".py") if len(names) > 1 else ""


def _imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever a file imports; `from a import b` may mean the module a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, path.relative_to(root))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _base(node: ast.ImportFrom, path: Path) -> str:
    package = path.parent.parts[: len(path.parent.parts) - max(0, node.level - 1)]
    before = ".".join(package) if node.level else ""
    return ".".join(filter(None, [before, node.module]))


if __name__ == "__main__":
    found = list(violations(ROOT))
    print("\n".join(found) or "The import rule is kept.")
    sys.exit(bool(found))
