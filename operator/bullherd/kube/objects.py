"""What any object of the API says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def controller_of(body: Mapping[str, Any]) -> str | None:
    """The uid of the object that controls this one, if one does."""
    owners = body["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)
