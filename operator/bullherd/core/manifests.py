"""What all objects have in common that Bullherd makes for a QueueJob: labels, the owner, a fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bullherd.api import GROUP, VERSION, QueueJob

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "bullherd"
QUEUEJOB_LABEL = f"{GROUP}/queuejob"
FINGERPRINT_ANNOTATION = f"{GROUP}/fingerprint"

Manifest = dict[str, Any]


def metadata_of(job: QueueJob) -> Manifest:
    """Named like the QueueJob, labelled, and owned by it."""
    return {
        "name": job.metadata.name,
        "namespace": job.metadata.namespace,
        "labels": {MANAGED_BY_LABEL: MANAGED_BY, QUEUEJOB_LABEL: job.metadata.name},
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "QueueJob",
                "name": job.metadata.name,
                "uid": job.metadata.uid,
                "controller": True,
                # True would need permission on the owner's finalizers where that admission check is on.
                "blockOwnerDeletion": False,
            }
        ],
    }


def fingerprinted(manifest: Manifest) -> Manifest:
    """The manifest with an annotation that tells it from any other."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), FINGERPRINT_ANNOTATION: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def fingerprint_of(manifest: Manifest) -> str:
    """What tells two manifests of ``fingerprinted`` apart."""
    value: str = manifest["metadata"]["annotations"][FINGERPRINT_ANNOTATION]
    return value
