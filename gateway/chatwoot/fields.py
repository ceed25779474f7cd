"""Reading JSON of foreign make: every field by name and type, errors that say where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NOTHING: Mapping[str, object] = {}


class WrongShape(ValueError):
    """A field is missing or of another type. The text says where, and never repeats the value."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and where it stands. Unknown keys do no harm; wrong types are `WrongShape`.

    A method with `optional` in its name takes null and a missing key for «not told».
    """

    values: Mapping[str, object]
    place: str = ""

    @classmethod
    def of(cls, value: object, place: str = "") -> Fields:
        """Raises `WrongShape` unless `value` is a JSON object."""
        if not isinstance(value, dict):
            raise WrongShape(f"{place or 'the body'}: expected an object, got {_kind(value)}")
        return cls(value, place)

    def integer(self, key: str) -> int:
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "a whole number")
        return value

    def optional_integer(self, key: str) -> int | None:
        return None if self.values.get(key) is None else self.integer(key)

    def number(self, key: str) -> float:
        value = self.values.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._wrong(key, "a number")
        return float(value)

    def optional_number(self, key: str) -> float:
        """0 if not told, which is also how Chatwoot writes «never» in times."""
        return 0.0 if self.values.get(key) is None else self.number(key)

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str:
        return "" if self.values.get(key) is None else self.text(key)

    def optional_flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return bool(value)

    def object(self, key: str) -> Fields:
        return Fields.of(self.values.get(key), self._place_of(key))

    def optional_object(self, key: str) -> Fields:
        if self.values.get(key) is None:
            return Fields(_NOTHING, self._place_of(key))
        return self.object(key)

    def optional_objects(self, key: str) -> tuple[Fields, ...]:
        return () if self.values.get(key) is None else self.objects(key)

    def objects(self, key: str) -> tuple[Fields, ...]:
        """A list of objects."""
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        place = self._place_of(key)
        return tuple(Fields.of(item, f"{place}[{i}]") for i, item in enumerate(value))

    def text_list(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def texts(self) -> Iterator[tuple[str, str]]:
        """The entries that are texts or whole numbers (ids), all as texts."""
        for key, value in self.values.items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                yield key, str(value)

    def _place_of(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _wrong(self, key: str, expected: str) -> WrongShape:
        found = _kind(self.values[key]) if key in self.values else "nothing"
        return WrongShape(f"{self._place_of(key)}: expected {expected}, got {found}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
