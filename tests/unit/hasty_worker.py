"""The web process's worker with less patience than a test has."""

from __future__ import annotations

from gateway.web.serving import PatientWorker


class HastyWorker(PatientWorker):
    longest_request = 1.0
    body_seconds = 1.0
