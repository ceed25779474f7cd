"""The page's own address hands out what customers sent: nothing of it may run there."""

from __future__ import annotations

import pytest
from flask import Flask

from sandbox.page.files import PageFile, files


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("image/png", True), ("image/svg+xml", False), ("text/html", False)],
)
def test_only_pictures_that_cannot_run_are_shown(content_type: str, shown: bool) -> None:
    app = Flask("page")
    file = PageFile('evil"\r\n.html', content_type, b"<script>")
    app.register_blueprint(files({"telegram": lambda _: file}))
    answer = app.test_client().get("/files/telegram/1")
    assert ("Content-Disposition" not in answer.headers) == shown
    assert answer.mimetype == (content_type if shown else "application/octet-stream")
