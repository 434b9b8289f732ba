"""The custom resource QueueJob: models that parse it, and everything that is generated from them."""

from bullherd.api.errors import InvalidQueueJob
from bullherd.api.floors import FloorSpec
from bullherd.api.metadata import Condition, ConditionStatus, ObjectMeta
from bullherd.api.queuejob import Engine, Mode, Priority, QueueJob, QueueJobSpec, QueueRef, ScalingSpec
from bullherd.api.redis import CaSecretRef, ClientCertificateSecretRef, PasswordSecretRef, RedisSpec, TlsSpec
from bullherd.api.resource import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from bullherd.api.status import QueueCounts, QueueJobStatus, ScaleIn, ScalingChange, ScalingStatus
from bullherd.api.template import PodTemplate, PodTemplateMetadata

__all__ = [
    "GROUP",
    "KIND",
    "PLURAL",
    "SHORT_NAME",
    "SINGULAR",
    "VERSION",
    "CaSecretRef",
    "ClientCertificateSecretRef",
    "Condition",
    "ConditionStatus",
    "Engine",
    "FloorSpec",
    "InvalidQueueJob",
    "Mode",
    "ObjectMeta",
    "PasswordSecretRef",
    "PodTemplate",
    "PodTemplateMetadata",
    "Priority",
    "QueueCounts",
    "QueueJob",
    "QueueJobSpec",
    "QueueJobStatus",
    "QueueRef",
    "RedisSpec",
    "ScaleIn",
    "ScalingChange",
    "ScalingSpec",
    "ScalingStatus",
    "TlsSpec",
]
