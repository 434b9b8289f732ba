"""Bullherd: a Kubernetes operator that turns what waits in BullMQ queues into pods."""

__version__ = "0.1.0"
