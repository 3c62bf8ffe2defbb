"""A server that a bench starts, and looks at from outside."""

import os
import re
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Target:
    """A server that was started here."""

    port: int
    pid: int
    log: Path
    tls: bool = False
    token: str | None = None

    def get(self, path: str, timeout: float = 20) -> str:
        address = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"
        key = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(address, headers=key)
        context = any_certificate() if self.tls else None
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """Summed over its labels."""
        lines = self.get("/metrics").splitlines()
        return sum(float(x.split()[-1]) for x in lines if re.match(rf"{name}[ {{]", x))

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def server(
    preset: str,
    settings: str,
    *,
    log: Path | None = None,
    root: Path = ROOT,
    files: int | None = None,
    tls: bool = False,
    token: str | None = None,
    options: Sequence[str] = (),
) -> Iterator[Target]:
    """`salmonn-live serve` on a free port with these lines of `config.yaml`, ended with SIGTERM.

    Args:
        preset: it serves.
        settings: as in `config.yaml`; they say it, too, where there is TLS or a token.
        log: its log is added to this file; None: to one that is thrown away.
        root: the checkout whose code runs.
        files: file descriptors it may have; None: as many as we may.
        tls: it is reached with TLS.
        token: it asks for this one.
        options: more of them for `serve`.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(settings)
        log = log or Path(folder) / "log"
        serve = ["serve", "--port", "0", "--preset", preset, "--config", str(config), *options]
        command = [sys.executable, "-c", "from cli.main import main; main()", *serve]
        with log.open("a") as stream:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                cwd=root,  # with -c, the code that is there comes first
            )
        if files is not None:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (files, files))
        try:
            yield Target(_port(process, log), process.pid, log, tls, token)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            finally:
                assert process.stdout is not None
                process.stdout.close()


def _port(process: "subprocess.Popen[str]", log: Path) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"https?://[^/]*:(\d+)/", line):
            return int(found[1])
    raise SystemExit(f"the server did not start:\n{log.read_text()}")


def self_signed(folder: Path) -> str:
    """Make a certificate for loopback with `openssl`; the lines of `config.yaml` that name it."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *named], check=True, capture_output=True)
    return f"certificate: {certificate}, key: {key}"


def any_certificate() -> ssl.SSLContext:
    """For a client that does not ask who signed it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
