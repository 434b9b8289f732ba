"""How the custom resources are called. Everything that names them asks here."""

from __future__ import annotations

from typing import Final

GROUP: Final = "bullherd.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "QueueJob"
PLURAL: Final = "queuejobs"
SINGULAR: Final = "queuejob"
SHORT_NAME: Final = "qj"
