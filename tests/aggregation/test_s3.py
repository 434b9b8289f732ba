"""Training data in a bucket. Needs PostgreSQL (see postgres.py) and the PyPI packages `moto[s3]`, `flask`
and `flask-cors`: moto's server speaks S3 over HTTP on a loopback port, so s3fs and botocore are the real
ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from urllib.request import Request, urlopen

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem  # type: ignore[import-untyped]
from sqlalchemy import Engine

from correction_aggregation.aggregate import aggregate
from correction_aggregation.errors import TargetAwayError
from correction_aggregation.seed import seed_days
from correction_aggregation.target import VolumeTarget, open_target
from tests.aggregation.conftest import DAY
from tests.fixtures.redis import free_port


class ObjectStore:
    """A server on a fixed port; what is in it stays when it stops."""

    def __init__(self) -> None:
        self.port = free_port()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def empty(self) -> None:
        urlopen(Request(f"http://127.0.0.1:{self.port}/moto-api/reset", method="POST")).close()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server with the empty bucket `corrections`; the environment is that of a pod that may use it."""
    store = ObjectStore()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}",
        "AWS_ACCESS_KEY_ID": "AKIATESTKEY",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # s3fs keeps its connections, a pod's endpoint never changes
    store.start()
    boto3.client("s3").create_bucket(Bucket="corrections")
    yield store
    store.empty()
    store.stop()


def objects() -> dict[str, bytes]:
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket="corrections").get("Contents", [])
    return {
        item["Key"]: client.get_object(Bucket="corrections", Key=item["Key"])["Body"].read()
        for item in listed
    }


@pytest.mark.usefixtures("s3")
def test_a_bucket_gets_what_a_volume_gets(database: Engine, volume: VolumeTarget) -> None:
    seed_days(database, count=2000, days=1, last_day=date(2026, 11, 1), seed=1)
    bucket = open_target("s3://corrections/team/rlhf/")
    result = aggregate(DAY, database, bucket, lambda progress: None)
    aggregate(DAY, database, volume, lambda progress: None)

    first = objects()
    on_the_volume = {path.name: path.read_bytes() for path in (volume.root / DAY.key).iterdir()}
    assert first == {f"team/rlhf/{DAY.key}/{name}": content for name, content in on_the_volume.items()}
    assert result.manifest == f"s3://corrections/team/rlhf/{DAY.key}/manifest.json"

    aggregate(DAY, database, bucket, lambda progress: None)
    assert objects() == first


@pytest.mark.usefixtures("s3")
def test_the_root_of_a_bucket(database: Engine) -> None:
    aggregate(DAY, database, open_target("s3://corrections"), lambda progress: None)
    content = objects()
    manifest = json.loads(content[f"{DAY.key}/manifest.json"])
    for about in manifest["files"].values():
        assert sha256(content[f"{DAY.key}/{about['name']}"]).hexdigest() == about["sha256"]


@pytest.mark.usefixtures("s3")
def test_no_such_bucket(database: Engine) -> None:
    with pytest.raises(TargetAwayError, match=r"^cannot write training data to s3://nothing/x: ") as caught:
        aggregate(DAY, database, open_target("s3://nothing/x"), lambda progress: None)
    assert "AKIATESTKEY" not in str(caught.value)
    assert objects() == {}


def test_the_store_goes_away_and_comes_back(database: Engine, s3: ObjectStore) -> None:
    bucket = open_target("s3://corrections/again")
    s3.stop()
    with pytest.raises(TargetAwayError, match=r"^cannot write training data to s3://corrections/again: "):
        aggregate(DAY, database, bucket, lambda progress: None)
    s3.start()
    assert aggregate(DAY, database, bucket, lambda progress: None).rows.read == 0
    assert f"again/{DAY.key}/manifest.json" in objects()
