"""The lock of a job: who waits is told for whom."""

from __future__ import annotations

import subprocess
import sys

from src.modelarts.job_lock import JobLock

# Locks the byte of who works, gives its name when it is told to, and ends when it is told again.
SLOW_TO_NAME_ITSELF = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, 0)
print("locked", flush=True)
sys.stdin.readline()
os.pwrite(descriptor, b"the slow one", 0)
print("named", flush=True)
sys.stdin.readline()
"""


def test_a_process_that_has_only_just_got_the_lock_is_waited_for_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with JobLock("job", 60) as lock:
        command = [sys.executable, "-c", SLOW_TO_NAME_ITSELF, str(lock.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "locked\n"

            def tell(_: float) -> None:
                other.stdin.write("\n")
                other.stdin.flush()
                if other.stdout.readline() != "named\n":
                    other.wait()

            monkeypatch.setattr("time.sleep", tell)  # each look finds the lock taken: without a name, then with one
            with lock.once("copies the data"):
                pass
    assert capsys.readouterr().err == "waiting for the slow one\n"
