"""What the browser is served from other projects is exactly what was vendored, with its licence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ROOT / "hub" / "web" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"


def entries():
    return [
        pytest.param(into, entry, id=f"{entry['package']} {entry['version']}")
        for into in (PRODUCT, TESTS)
        for entry in json.loads((into / "manifest.json").read_text())
    ]


@pytest.mark.parametrize(("into", "entry"), entries())
def test_each_file_is_the_one_that_was_vendored(into, entry):
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (into / entry["folder"]).iterdir()}

    assert found == entry["files"]


@pytest.mark.parametrize(("into", "entry"), entries())
def test_each_folder_holds_its_licence(into, entry):
    text = (into / entry["folder"] / "LICENSE").read_text()

    assert "copyright" in text.lower() or "permission to use" in text.lower()
    assert len(text) > 400


@pytest.mark.parametrize("into", [PRODUCT, TESTS], ids=["product", "tests"])
def test_no_folder_is_missing_from_the_manifest(into):
    folders = {entry["folder"] for entry in json.loads((into / "manifest.json").read_text())}

    assert {path.name for path in into.iterdir() if path.is_dir()} == folders


def test_every_icon_of_the_list_is_in_the_sprite():
    sprite = (PRODUCT / "tabler-icons" / "sprite.svg").read_text()

    assert re.findall(r'<symbol id="([^"]+)"', sprite) == sorted((ROOT / "scripts" / "icons.txt").read_text().split())


def test_no_style_sheet_asks_another_host():
    for path in (PRODUCT.parent / "hub.css", PRODUCT / "tabler" / "tabler.min.css"):
        # A data: image may name the SVG namespace; a url() or an @import that leaves this host may not be there.
        assert not re.search(r"(url\(\s*[\"']?|@import\s+[\"']?)(https?:)?//", path.read_text())
