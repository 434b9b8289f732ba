"""Correction aggregation: human corrections of model responses become training data.

One item of the queue `correction-aggregation` names a time range. Its rows are read from PostgreSQL in one
snapshot (`read`), judged one by one (`curate`), counted (`tally`), and written as JSONL with a manifest
(`write`, `target`). `aggregate` is that pipeline; `kind` is the thin shell that ties it to a BullMQ queue.
"""
