"""Finds adapters: by name, by an installed package's entry point, or by dotted path.

The core knows no adapter. It finds them at run time, by the name that channels.toml gives.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from gateway.adapter import Adapter, ChannelConfig
from gateway.model import Capabilities

PACKAGE = "adapters"
ENTRY_POINT_GROUP = "chatwoot_gateway.adapters"


class UnknownAdapter(Exception):
    """No adapter has this name."""


class BrokenAdapter(Exception):
    """The adapter exists but cannot be used. The text says why."""


def find_adapter(kind: str) -> type[Adapter]:
    """The adapter that `kind` names: a module of `adapters/`, an entry point in the group
    `chatwoot_gateway.adapters`, or a dotted path `package.module:Class`.

    Raises `UnknownAdapter` or `BrokenAdapter`.
    """
    if ":" in kind:
        return _by_path(kind)
    in_tree = re.fullmatch(r"[a-z][a-z0-9_]*", kind) and _exists(f"{PACKAGE}.{kind}")
    entries = _entry_points(kind)
    if len(entries) + bool(in_tree) > 1:
        raise BrokenAdapter(_collision(kind, [f"{PACKAGE}.{kind}"] if in_tree else [], entries))
    if in_tree:
        return _adapter_in(_import(f"{PACKAGE}.{kind}"))
    for entry in entries:
        return _by_entry_point(entry)
    raise UnknownAdapter(f"adapter «{kind}» does not exist")


def known_kinds() -> tuple[str, ...]:
    """The names that `find_adapter` knows, without importing any of them."""
    names = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if _exists(PACKAGE):
        names.update(
            module.name
            for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__)
            if not module.name.startswith("_")
        )
    return tuple(sorted(names))


def _entry_points(kind: str) -> tuple[EntryPoint, ...]:
    """Those of this name, each class once: installed packages may declare the same."""
    found = entry_points(group=ENTRY_POINT_GROUP, name=kind)
    return tuple({entry.value: entry for entry in found}.values())


def _collision(kind: str, in_tree: list[str], entries: Iterable[EntryPoint]) -> str:
    owners = (
        f"{entry.value} of the package {entry.dist.name if entry.dist else 'unknown'}"
        for entry in entries
    )
    return f"adapter «{kind}» exists more than once: as {' and as '.join([*in_tree, *owners])}"


def _by_path(path: str) -> type[Adapter]:
    name, _, attribute = path.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*", name) or not attribute.isidentifier():
        raise UnknownAdapter(f"«{path}» is not of the form package.module:Class")
    if not _exists(name):
        raise UnknownAdapter(f"module {name} does not exist")
    found = getattr(_import(name), attribute, None)
    if found is None:
        raise UnknownAdapter(f"module {name} has no {attribute}")
    return _adapter(found, path)


def _by_entry_point(entry: EntryPoint) -> type[Adapter]:
    found = getattr(_import(entry.module), entry.attr, None)
    return _adapter(found, f"the entry point {entry.name} = {entry.value}")


def _exists(module: str) -> bool:
    """Raises `BrokenAdapter` if a parent package exists but cannot be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return False
        raise _not_imported(module.rpartition(".")[0], error) from error
    except Exception as error:
        raise _not_imported(module.rpartition(".")[0], error) from error


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # Whatever a foreign module raises, say which module failed, and why.
        raise _not_imported(name, error) from error


def _not_imported(name: str, error: Exception) -> BrokenAdapter:
    return BrokenAdapter(f"{name} cannot be imported: {type(error).__name__}: {error}")


def _adapter(found: object, where: str) -> type[Adapter]:
    if isinstance(found, type) and issubclass(found, Adapter) and found is not Adapter:
        return _validated(found, where)
    raise BrokenAdapter(f"{where} is not a subclass of gateway.adapter.Adapter")


def _adapter_in(module: ModuleType) -> type[Adapter]:
    """The one public adapter that a module (or a package's own modules) defines. What `__all__`
    names may be imported as late as here (PEP 562)."""
    names = {*vars(module), *getattr(module, "__all__", ())}
    own = {
        value
        for name in names
        if not name.startswith("_")
        and isinstance(value := getattr(module, name), type)
        and issubclass(value, Adapter)
        and (value.__module__ + ".").startswith(module.__name__ + ".")
    }
    if len(own) == 1:
        return _validated(own.pop(), module.__name__)
    found = ", ".join(sorted(adapter.__name__ for adapter in own)) or "none"
    raise BrokenAdapter(f"{module.__name__} must define exactly one Adapter, but defines {found}")


def _validated(adapter: type[Adapter], where: str) -> type[Adapter]:
    """The adapter itself, if its declarations are valid. Raises `BrokenAdapter`."""
    config: object = adapter.Config
    if not isinstance(config, type) or not issubclass(config, ChannelConfig):
        raise BrokenAdapter(f"{where}: its Config is not a subclass of ChannelConfig")
    for name, common in ChannelConfig.model_fields.items():
        if config.model_fields[name].annotation != common.annotation:
            raise BrokenAdapter(
                f"{where}: its Config redefines «{name}», a setting of every channel; choose "
                "another name"
            )
    able: object = adapter.capabilities
    if not isinstance(able, Capabilities):
        kind = type(able).__name__
        raise BrokenAdapter(f"{where}: its capabilities must be Capabilities(…), not {kind}")
    return adapter
