"""How each role of the gateway is started, here and on platforms that set PORT."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.config import ConfigError, Problem, Settings
from gateway.embedded import EmbeddedValkey, data_folder, embedded_in
from gateway.processes import Printer, Role
from gateway.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[1]
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (gunicorn opens its file there safely)
WEB_THREADS = 8
WEB_WORKER = "gateway.web.serving.PatientWorker"


def supervise(settings: Settings, config: Path) -> None:
    """Run everything until a signal says stop. Raises `CannotRun`, `ConfigError`."""
    server = None if settings.gateway.redis_url else embedded_in(data_folder())
    roles = roles_of(os.environ, config, server)
    say = Printer(sys.stdout)
    say("gateway", f"web listens on http://{bind_address(os.environ)}; Ctrl-C stops everything")
    Supervisor(roles, say).run(server)


def roles_of(
    environ: Mapping[str, str], config: Path, server: EmbeddedValkey | None
) -> tuple[Role, ...]:
    """Web, as many workers as `GATEWAY_WORKERS` says (1), and the clock. Raises `ConfigError`."""
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
    """Gunicorn with threads: what a webhook waits for is Redis, not this processor."""
    command = [sys.executable, "-m", "gunicorn", "--worker-class", WEB_WORKER]
    command += ["--workers", environ.get("WEB_CONCURRENCY") or "1"]
    command += ["--threads", str(WEB_THREADS), "--bind", bind_address(environ)]
    command += ["--graceful-timeout", "6", "--log-level", "warning", "--no-control-socket"]
    if MEMORY_FOLDER.is_dir():
        # A worker shows that it lives by touching a file: a slow disk would get it killed.
        command += ["--worker-tmp-dir", str(MEMORY_FOLDER)]
    return [*command, "gateway.web.wsgi:app_from_environment()"]


def bind_address(environ: Mapping[str, str]) -> str:
    """`GATEWAY_BIND`; or every interface with the `PORT` that a platform sets; or loopback."""
    if address := environ.get("GATEWAY_BIND"):
        return address
    if port := environ.get("PORT"):
        return f"0.0.0.0:{port}"
    return "127.0.0.1:8080"


def _workers(environ: Mapping[str, str]) -> int:
    text = environ.get("GATEWAY_WORKERS") or "1"
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 32:
        return int(text)
    cure = "Set it to a number from 1 to 32, or leave it out for one worker."
    raise ConfigError([Problem("environment", None, "GATEWAY_WORKERS", "is no such number", cure)])
