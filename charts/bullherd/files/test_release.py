"""`helm test`: are operator and server ready, and does every Redis take the login that they were given?

Runs in the operator's own image and reads the same connection files, so what passes here works there.
Usage: python test_release.py FOLDER_WITH_CONNECTION_FILES [WHO=URL_OF_READYZ]...
"""

import sys
import tempfile
import urllib.request
from pathlib import Path

import redis
import yaml


def tls_options(tls):
    """redis-py wants a client's certificate as files; texts from the connection file go to temporary ones."""

    def file_of(name):
        if not (tls.get(name) and not tls.get(f"{name}File")):
            return tls.get(f"{name}File")
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(tls[name])
        return file.name

    if not tls.get("enabled"):
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": file_of("ca"),
        "ssl_certfile": file_of("certificate"),
        "ssl_keyfile": file_of("privateKey"),
    }


def ping(connection):
    password = connection.get("password")
    if file := connection.get("passwordFile"):
        password = Path(file).read_text().rstrip("\n")
    redis.Redis(
        host=connection["host"],
        port=connection.get("port", 6379),
        db=connection.get("db", 0),
        username=connection.get("username") or None,
        password=password,
        socket_timeout=10,
        socket_connect_timeout=10,
        **tls_options(connection.get("tls") or {}),
    ).ping()


def main(folder, *processes):
    checks = {}
    for process in processes:
        who, _, readyz = process.partition("=")
        checks[f"{who} is ready"] = lambda readyz=readyz: urllib.request.urlopen(readyz, timeout=10).close()
    for file in sorted(Path(folder).glob("*.yaml")):
        connection = yaml.safe_load(file.read_text())
        name = f"connection {file.stem} ({connection['host']}:{connection.get('port', 6379)})"
        checks[name] = lambda connection=connection: ping(connection)

    failed = 0
    for name, check in checks.items():
        try:
            check()
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
        else:
            print(f"ok      {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
