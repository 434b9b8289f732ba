"""Fixtures that every layer of tests may ask for; each starts what it needs only when asked."""

pytest_plugins = [
    "tests.fixtures.redis",
    "tests.fixtures.node",
    "tests.fixtures.cluster",
    "tests.fixtures.kubernetes",
    "tests.fixtures.api_proxy",
    "tests.fixtures.process",
    "tests.fixtures.operator",
    "tests.fixtures.server",
    "tests.fixtures.external_metrics",
    "tests.fixtures.worker",
]
