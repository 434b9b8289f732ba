"""A private PostgreSQL server for tests: a real one, in a folder of its own, on a free loopback port.

Needs the Debian package `postgresql` (15 or newer). The server refuses to run as root: then it runs as the
user `postgres` that the package makes. Each test gets a database of its own, with the schema in place;
starting one takes 30 ms, the server 2 s once.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.fixtures.redis import free_port

START_LIMIT_S = 20.0
PASSWORD = "s3cret-of-the-test"


class PostgresServer:
    """One server process; its methods return when what they say is done."""

    def __init__(self) -> None:
        self.port = free_port()
        self._user = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        )
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="bullherd-postgres-"))
        if self._user:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    def create(self) -> None:
        """Make the cluster of databases and start it."""
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        options = ["--username=owner", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [*self._user, str(self._programs / "initdb"), "-D", str(self._data), *options]
        command.append(f"--pwfile={password_file}")
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)
        self.start()

    def url(self, database: str = "postgres", user: str = "owner", password: str = PASSWORD) -> URL:
        return URL.create(
            "postgresql+psycopg", user, password, host="127.0.0.1", port=self.port, database=database
        )

    def start(self) -> None:
        # --pdeathsig: the kernel ends the server with the test process, even when that is killed.
        command = [
            "setpriv",
            "--pdeathsig=QUIT",
            *self._user[1:],
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
        ]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "32MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=self._folder)
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        """As `pg_ctl stop -m fast` does: sessions are ended, the data is kept."""
        self._end(signal.SIGINT)

    def freeze(self) -> None:
        """Make the sessions hang and new connections wait: the machine lives, the server does not answer."""
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)  # first, so that the list of its children is complete
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._frozen = [pid, *map(int, children)]
        for one in self._frozen:
            os.kill(one, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in reversed(self._frozen):
            os.kill(pid, signal.SIGCONT)
        assert self._process is not None
        self._wait_until_it_answers(self._process)

    def run(self, *statements: str, database: str = "postgres") -> None:
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def remove(self) -> None:
        """Stop it at once, and its data is gone."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_LIMIT_S)
            self._process = None

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        engine = create_engine(self.url())
        limit = time.monotonic() + START_LIMIT_S
        while True:
            try:
                engine.connect().close()
            except OperationalError as problem:
                if process.poll() is not None or time.monotonic() > limit:
                    log = (self._folder / "postgres.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(
                        f"PostgreSQL did not start on port {self.port}: {problem}\n{log}"
                    ) from None
                time.sleep(0.02)
            else:
                engine.dispose()
                return


def _programs() -> Path:
    """The newest server that Debian's packages put under /usr/lib/postgresql."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError(
            "the PostgreSQL server is not installed: apt-get install postgresql (Debian, Ubuntu)"
        )
    return found[-1].parent
