"""Unpack the front end's pinned packages into the repository, with licences and hashes.

    python scripts/vendor_frontend.py            fetch the packages with `npm pack` and write the files
    python scripts/vendor_frontend.py --check    compare the files with the manifests; exit code 1 if one differs

The unpacked files are committed: running the product needs neither Node nor a network. Each package is pinned by
version and by the integrity its registry publishes, so that a changed tarball is refused.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ROOT / "hub" / "web" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"

# Every icon that a template or a navigation entry may name, one a line. Tabler calls them the same.
ICONS = Path(__file__).with_name("icons.txt").read_text().split()

MIT = """
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Package:
    """One pinned package: which of its files go where.

    files: path in the package → name in the folder. licence_files: empty for a package that ships no licence text; the
    text is then the MIT licence under the copyright lines of its first file.
    """

    name: str
    version: str
    integrity: str
    licence: str
    folder: str
    files: Mapping[str, str] = field(default_factory=dict)
    licence_files: tuple[str, ...] = ("LICENSE",)
    into: Path = PRODUCT


PACKAGES = (
    Package(
        name="htmx.org",
        version="4.0.1",
        integrity="sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        licence="0BSD",
        folder="htmx",
        files={"dist/htmx.min.js": "htmx.min.js", "dist/ext/hx-csp.min.js": "hx-csp.min.js"},
    ),
    Package(
        name="@tabler/core",
        version="1.6.1",
        integrity="sha512-lgmR9gcxRp5JlLxcmRi9Rz85JrEvH6Bz71KnlcPVSa97wtwQNjgSs3g3fxwbAlulHyRMghhIV04QUuW3pqDsIg==",
        licence="MIT",
        folder="tabler",
        files={"dist/css/tabler.min.css": "tabler.min.css", "dist/css/tabler.rtl.min.css": "tabler.rtl.min.css"},
        licence_files=(),
    ),
    Package(
        name="@tabler/icons",
        version="3.51.0",
        integrity="sha512-0pinvPZz7YeX+OSfxuEAbnEPWbocVXW5iU8h5lh41pYG8sZuQfpWECC980lxOT0clGIcNGn8xsBr+zKaRGdA/g==",
        licence="MIT",
        folder="tabler-icons",
    ),
    Package(
        name="@fontsource-variable/inter",
        version="5.3.0",
        integrity="sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        licence="OFL-1.1",
        folder="inter",
        files={
            "files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
            "files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
        },
    ),
    Package(
        name="axe-core",
        version="4.14.1",
        integrity="sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        licence="MPL-2.0",
        folder="axe-core",
        files={"axe.min.js": "axe.min.js"},
        licence_files=("LICENSE", "LICENSE-3RD-PARTY.txt"),
        into=TESTS,
    ),
)


def fetch(package: Package, folder: Path) -> Path:
    """Download the package's tarball and verify it; returns the folder it was unpacked into."""
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    tarball = folder / subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != package.integrity:
        raise SystemExit(f"{package.name} {package.version}: the tarball is not the pinned one ({digest}).")
    unpacked = folder / package.folder
    with tarfile.open(tarball) as archive:
        archive.extractall(unpacked, filter="data")
    return unpacked / "package"


def contents(package: Package, unpacked: Path) -> dict[str, bytes]:
    """The files that will be committed, by name."""
    files = {name: without_map(unpacked.joinpath(path).read_bytes()) for path, name in package.files.items()}
    if package.folder == "tabler-icons":
        files["sprite.svg"] = sprite(unpacked / "icons" / "outline")
    for name in package.licence_files:
        files[name] = unpacked.joinpath(name).read_bytes()
    if not package.licence_files:
        header = next(iter(files.values()))[:600].decode()
        owners = re.findall(r"Copyright .+", header)
        files["LICENSE"] = ("The MIT License (MIT)\n\n" + "\n".join(owners) + "\n" + MIT).encode()
    return files


def without_map(content: bytes) -> bytes:
    """Drop the pointer to a source map: the maps are not vendored, and browsers would ask for them."""
    return re.sub(rb"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$", b"\n", content)


def sprite(folder: Path) -> bytes:
    """One SVG file in which every icon is a symbol with the icon's name as its id."""
    symbols = []
    for name in sorted(set(ICONS)):
        drawing = re.search(r"<svg[^>]*>(.*)</svg>", folder.joinpath(f"{name}.svg").read_text(), re.DOTALL)
        if drawing is None:
            raise SystemExit(f"The icon {name} has no drawing.")
        shapes = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>', "", drawing[1])
        shapes = re.sub(r"\s*\n\s*", "", shapes)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>')
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def write(into: Path) -> None:
    """Write all packages of one vendor folder and its manifest."""
    manifest = []
    for package in (package for package in PACKAGES if package.into == into):
        with tempfile.TemporaryDirectory() as scratch:
            files = contents(package, fetch(package, Path(scratch)))
        target = into / package.folder
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        for name, content in files.items():
            target.joinpath(name).write_bytes(content)
        manifest.append(
            {
                "package": package.name,
                "version": package.version,
                "licence": package.licence,
                "integrity": package.integrity,
                "folder": package.folder,
                "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
            }
        )
    into.joinpath("manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def differences(into: Path) -> list[str]:
    """What stands in a vendor folder and is not as its manifest says."""
    manifest = json.loads(into.joinpath("manifest.json").read_text())
    expected = {f"{entry['folder']}/{name}": digest for entry in manifest for name, digest in entry["files"].items()}
    found = {
        path.relative_to(into).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in into.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    names = sorted(expected.keys() | found.keys())
    return [f"{into.name}/{name}" for name in names if expected.get(name) != found.get(name)]


def main() -> int:
    """Write the vendored files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the files with the manifests")
    if not parser.parse_args().check:
        for into in (PRODUCT, TESTS):
            write(into)
        return 0
    wrong = [name for into in (PRODUCT, TESTS) for name in differences(into)]
    for name in wrong:
        print(f"{name} is not the file that was vendored.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
