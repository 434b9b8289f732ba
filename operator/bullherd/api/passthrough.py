"""Parts of Kubernetes' own types that a QueueJob hands on.

Only what Bullherd itself reads or adds to has its shape checked. The rest is the API server's to judge when
it gets the object, so that a field of tomorrow's Kubernetes works today.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

OPEN = ConfigDict(extra="allow", use_attribute_docstrings=True)
"""For a TypedDict that names some fields of a type of Kubernetes' and takes all others."""


class CheckedAs:
    """Check a plain value by a TypedDict, and leave it a plain value for those who build objects from it."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.shape)
