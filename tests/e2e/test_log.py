# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Messages as the journal gets them: with an id and a priority, over its own socket."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from conftest import BUILD, SOURCE, Daemon

IDS = {name: (priority, number) for name, priority, number in
       re.findall(r'X\((\w+),\s*(LOG_\w+),\s*"(\w+)"\)', (SOURCE / "daemon/log_ids.h").read_text())}
PRIORITIES = {"LOG_ERR": b"3", "LOG_WARNING": b"4", "LOG_NOTICE": b"5", "LOG_INFO": b"6"}
# In a mount namespace of its own the daemon sees our socket where the journal's is.
SCRIPT = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal && ' \
         'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec "$2" --config "$3"'


class Journal:
    def __init__(self, directory):
        self.raw = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.raw.settimeout(30)
        self.raw.bind(str(directory / "socket"))

    def next(self):
        """The fields of the next message."""
        fields = {}
        for line in self.raw.recv(65536).split(b"\n"):
            name, separator, value = line.partition(b"=")
            if separator:
                fields[name.decode()] = value
        return fields

    def expect(self, name, pattern):
        fields = self.next()
        priority, number = IDS[name]
        assert fields["MESSAGE_ID"].decode() == number, (name, fields)
        assert fields["PRIORITY"] == PRIORITIES[priority] and fields["SYSLOG_IDENTIFIER"] == b"ocellusd"
        assert re.search(pattern, fields["MESSAGE"].decode()), fields


@pytest.fixture
def journaled():
    """start(**options of Daemon) -> (Daemon, Journal), the daemon on its way."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"],
                                           capture_output=True).returncode != 0:
        pytest.skip("needs mount namespaces")
    directory, processes = pathlib.Path(tempfile.mkdtemp(prefix="ocellus-")), []

    def start(**options):
        (directory / "journal").mkdir()
        journal = Journal(directory / "journal")
        daemon = Daemon(directory, **options)
        with open(directory / "stderr", "wb") as errors:
            daemon.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", SCRIPT, "sh", directory / "journal", BUILD / "daemon" / "ocellusd", daemon.config],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        processes.append(daemon.process)
        return daemon, journal

    yield start
    for process in processes:
        process.kill()
        process.wait()
    shutil.rmtree(directory)


def test_messages_have_ids(journaled):
    daemon, journal = journaled()
    journal.expect("READY", "^ready$")
    good = daemon.config.read_text()
    daemon.config.write_text(good + "[nonsense]\n")
    daemon.process.send_signal(signal.SIGHUP)
    journal.expect("RELOAD_REFUSED", r"^reload: .*ocellus.conf:\d+: .*nonsense.*old configuration")
    daemon.config.write_text(good)
    daemon.process.send_signal(signal.SIGHUP)
    journal.expect("RELOADED", "^reloaded$")
    daemon.process.send_signal(signal.SIGTERM)
    journal.expect("STOPPING", "SIGTERM")
    assert daemon.process.wait(20) == 0
    assert daemon.stderr() == ""  # nothing is said twice


def test_a_failed_start_has_an_id(journaled):
    daemon, journal = journaled(settings={"socket_group": "no-such-group"})
    journal.expect("START_FAILED", "no-such-group")
    assert daemon.process.wait(20) == 1


def test_a_wrong_configuration_has_an_id(journaled):
    daemon, journal = journaled(settings={"nonsense": "1"})
    journal.expect("CONFIG_REFUSED", r"ocellus.conf:\d+: .*nonsense")
    assert daemon.process.wait(20) == 1


def test_the_same_fault_again_and_again_is_told_five_times(start_daemon):
    daemon = start_daemon()
    text = daemon.config.read_text()
    daemon.expect("reload: ")
    daemon.config.write_text(text + "[nonsense]\n")
    with daemon.eye() as eye:
        for _ in range(20):
            eye.send("io.ocellus.Reload")
            assert "nonsense" in eye.receive()["parameters"]["message"]
    assert daemon.stderr().count("nonsense") == 5
