"""The fork server's side of its socket, with a test in the engine's place."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dspool_worker._native import channel_descriptors, fork_socket

ADAPTERS = Path(__file__).parents[1] / "e2e" / "adapters"


class Server:
    """A fork server that was started as an engine starts it."""

    def __init__(self, adapter: str) -> None:
        self.engine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.engine.settimeout(60)

        def give_socket() -> None:
            os.dup2(theirs.fileno(), fork_socket())
            os.closerange(fork_socket() + 1, 256)

        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "dspool_worker.fork_server", "--adapter", adapter],
            env={**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ADAPTERS}"},
            stderr=subprocess.PIPE,
            close_fds=False,
            preexec_fn=give_socket,
        )
        theirs.close()

    def close(self) -> None:
        self.engine.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server("forkable:Forkable")
    yield running
    running.close()


def descriptors_of(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}
    except PermissionError:
        pytest.skip("the server is closed to its own user: only root sees its descriptors")


def test_it_keeps_the_numbers_of_a_channel_free(server: Server) -> None:
    assert server.engine.recv(4096), "it is ready"
    found = descriptors_of(server.process.pid)
    assert {found[number] for number in channel_descriptors()} == {os.devnull}
    assert set(found) == {0, 1, 2, *channel_descriptors(), fork_socket()}


def test_it_ends_when_the_engine_hangs_up(server: Server) -> None:
    assert server.engine.recv(4096)
    server.engine.close()
    assert server.process.wait(60) == 0


def test_it_ends_when_the_adapter_cannot_be_imported() -> None:
    server = Server("no_such_module:Adapter")
    report = server.engine.recv(65536)
    assert b"adapter_failed" in report
    assert b"No module named 'no_such_module'" in report
    assert server.process.wait(60) == 1
    server.close()


def test_ctrl_c_is_the_engines_to_handle(server: Server) -> None:
    assert server.engine.recv(4096)
    server.process.send_signal(signal.SIGINT)
    server.engine.close()
    assert server.process.wait(60) == 0


def test_without_an_engine_it_says_who_starts_it() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "dspool_worker.fork_server", "--adapter", "a:B"],
        capture_output=True,
        check=False,
    )
    assert run.returncode == 2
    assert b"started by the engine" in run.stderr
