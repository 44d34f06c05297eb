"""What a process must not have when it forks, and that it may have everything else.

Each is asked of an interpreter of its own, since this one has whatever other tests left it.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

PRELUDE = """
import socket, sqlite3, subprocess, sys, threading
from dspool_worker.fork_safety import fork_hindrance
folder = sys.argv[1]
"""


def run(script: str, folder: Path) -> list[str]:
    """What the script prints, line by line."""
    program = PRELUDE + textwrap.dedent(script)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout.splitlines()


def test_a_process_with_one_thread_may_fork(tmp_path: Path) -> None:
    script = """
        file = open(folder + "/plain.txt", "w+")
        file.write("no database")
        file.flush()
        print(fork_hindrance())
    """
    assert run(script, tmp_path) == ["None"]


def test_a_thread_is_named_and_one_that_ends_is_waited_for(tmp_path: Path) -> None:
    script = """
        end = threading.Event()
        threading.Thread(target=end.wait, name="flusher").start()
        print(fork_hindrance())
        end.set()
        print(fork_hindrance(patience_s=60))
    """
    assert run(script, tmp_path) == ["it has started 1 thread (flusher)", "None"]


def test_an_open_sqlite_file_is_named_and_its_locks_stay(tmp_path: Path) -> None:
    script = """
        path = folder + "/cache.db"
        cache = sqlite3.connect(path, isolation_level=None)
        cache.execute("CREATE TABLE cache (key)")
        cache.execute("BEGIN EXCLUSIVE")
        print(fork_hindrance())
        other = (
            "import sqlite3, sys\\n"
            "sqlite3.connect(sys.argv[1], timeout=0).execute('INSERT INTO cache VALUES (1)')"
        )
        ran = subprocess.run([sys.executable, "-c", other, path], capture_output=True)
        print(b"database is locked" in ran.stderr)
        cache.close()
        print(fork_hindrance())
    """
    hindrance, locked, nothing = run(script, tmp_path)
    assert hindrance.startswith(f"it has the SQLite file {tmp_path}/cache.db")
    assert (locked, nothing) == ("True", "None")


def test_a_connection_is_named_and_a_listening_socket_is_none(tmp_path: Path) -> None:
    script = """
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        print(fork_hindrance())
        client = socket.create_connection(("127.0.0.1", port))
        print(fork_hindrance() == f"it is connected with 127.0.0.1:{port}")
    """
    assert run(script, tmp_path) == ["None", "True"]
