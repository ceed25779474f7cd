"""Starts the roles of the gateway, here and on platforms that set PORT."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.config import ConfigError, Problem, Settings
from gateway.processes.kept_process import Printer, Role
from gateway.processes.supervisor import Supervisor
from gateway.storage.embedded import EmbeddedValkey, data_folder, embedded_in

ROOT = Path(__file__).resolve().parents[2]
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (gunicorn opens its file there safely)
WEB_THREADS = 8
WEB_CONNECTIONS = 500
"""Of one web process, at the same time; each may hold a head and a body of usual size."""
WEB_WORKER = "gateway.web.serving.PatientWorker"
BIND = re.compile(
    r"unix:.+|fd://\d+|(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d+)"
)
HIGHEST_PORT = 65535


def supervise(settings: Settings, config: Path) -> None:
    """Run everything until a signal says stop. Raises `CannotStart`, `ConfigError`."""
    server = None if settings.gateway.redis_url else embedded_in(data_folder())
    roles = roles_of(os.environ, config, server)
    say = Printer(sys.stdout)
    address = bind_address(os.environ)
    os.umask(0o077)  # what the server and the workers write is for nobody else
    say("gateway", f"web listens on http://{address}; Ctrl-C stops everything")
    if _in_use(address):
        say("gateway", f"{address} is in use by another program, and web waits for it: stop that")
        say("gateway", "program, or set GATEWAY_BIND=127.0.0.1:PORT to listen elsewhere")
    Supervisor(roles, say).run(server)


def roles_of(
    environ: Mapping[str, str], config: Path, server: EmbeddedValkey | None
) -> tuple[Role, ...]:
    """Web, as many workers as `GATEWAY_WORKERS` says (1), and the clock. Raises `ConfigError`."""
    web_command(environ)  # reports problems before anything is started
    shared = dict(environ)
    shared["GATEWAY_CONFIG"] = str(config.absolute())
    shared["PYTHONUNBUFFERED"] = "1"
    shared["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    if server is not None:
        shared["REDIS_URL"] = server.url
    names = ["web", "worker", "clock"]
    names += [f"worker-{number}" for number in range(2, _workers(environ) + 1)]
    return tuple(
        Role(name, (sys.executable, "-m", "gateway", name.partition("-")[0]), shared)
        for name in names
    )


def web_command(environ: Mapping[str, str]) -> list[str]:
    """Gunicorn with threads: a webhook waits for Redis, not for this processor.

    Raises `ConfigError`.
    """
    if problems := tuple(_web_problems(environ)):
        raise ConfigError(problems)
    command = [sys.executable, "-m", "gunicorn", "--worker-class", WEB_WORKER]
    command += ["--workers", environ.get("WEB_CONCURRENCY") or "1"]
    command += ["--threads", str(WEB_THREADS), "--bind", bind_address(environ)]
    command += ["--worker-connections", str(WEB_CONNECTIONS)]
    command += ["--graceful-timeout", "6", "--log-level", "warning", "--no-control-socket"]
    if MEMORY_FOLDER.is_dir():
        # A worker proves that it is alive by touching a file: a slow disk would get it killed.
        command += ["--worker-tmp-dir", str(MEMORY_FOLDER)]
    return [*command, "gateway.web.wsgi:app_from_environment()"]


def environment_problems(environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """What `run` and `web` would refuse."""
    return (*_web_problems(environ), *_worker_problems(environ))


def bind_address(environ: Mapping[str, str]) -> str:
    """`GATEWAY_BIND`; or every interface with the `PORT` that a platform sets; or loopback."""
    if address := environ.get("GATEWAY_BIND"):
        return address
    if port := environ.get("PORT"):
        return f"0.0.0.0:{port}"
    return "127.0.0.1:8080"


def _web_problems(environ: Mapping[str, str]) -> Iterator[Problem]:
    """What would end gunicorn each time it is started."""
    workers = environ.get("WEB_CONCURRENCY") or "1"
    if not _is_number(workers, 1, 1000):
        cure = "Set it to the number of gunicorn processes, or unset it for one."
        yield Problem(
            "environment", None, "WEB_CONCURRENCY", "must be a number from 1 to 1000", cure
        )
    if bind := environ.get("GATEWAY_BIND"):
        found = BIND.fullmatch(bind)
        if found is None or not _is_number(found["port"] or "0", 0, HIGHEST_PORT):
            cure = "Write it like 127.0.0.1:8080, or unset it."
            yield Problem(
                "environment",
                None,
                "GATEWAY_BIND",
                "must be HOST:PORT, with a port from 0 to 65535",
                cure,
            )
    elif (port := environ.get("PORT")) and not _is_number(port, 0, HIGHEST_PORT):
        cure = "Set it to a number like 8080, or unset it."
        yield Problem("environment", None, "PORT", "must be a port from 0 to 65535", cure)


def _in_use(address: str) -> bool:
    """Whether another program listens there. Gunicorn itself reports other problems."""
    found = BIND.fullmatch(address)
    if found is None or not found["port"]:
        return False
    family = socket.AF_INET6 if found["six"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((found["six"] or found["host"], int(found["port"])))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdigit() and least <= int(text) <= most


def _workers(environ: Mapping[str, str]) -> int:
    if problems := tuple(_worker_problems(environ)):
        raise ConfigError(problems)
    return int(environ.get("GATEWAY_WORKERS") or "1")


def _worker_problems(environ: Mapping[str, str]) -> Iterator[Problem]:
    if not _is_number(environ.get("GATEWAY_WORKERS") or "1", 1, 32):
        cure = "Set it to the number of workers, or unset it for one."
        yield Problem("environment", None, "GATEWAY_WORKERS", "must be a number from 1 to 32", cure)
