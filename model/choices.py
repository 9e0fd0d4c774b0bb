"""Text that has to be one of a few names, which another table of the program already lists."""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

ONE_OF = "one_of"
"""The type of the error; its context holds the names as ``allowed``."""


class OneOf:
    """Annotates a text type, or an enumeration of texts, with the names that it may be.

    The names are read at each validation and not when the model is built, so that a table which grows later, as in a
    test, is followed.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names

    def __get_pydantic_core_schema__(
        self, source: Callable[[str], object], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return what pydantic validates with."""

        def chosen(value: object) -> object:
            allowed = self._allowed
            if not isinstance(value, str) or value not in allowed:
                raise PydanticCustomError(ONE_OF, "not one of the allowed values", {"allowed": allowed})
            return source(value)

        return core_schema.no_info_plain_validator_function(chosen)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return what editors offer."""
        return {"enum": self._allowed, "type": "string"}

    @property
    def _allowed(self) -> list[str]:
        return [str(name) for name in self._names]
