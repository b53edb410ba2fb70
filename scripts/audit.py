"""Looks up known vulnerabilities of the pinned packages: ``make audit``.

It asks two services through pip-audit, the package index's own and then OSV, until one has answered for every pin. The
exit status is 0 only then, and only if no vulnerability is known; 1 if one is; and 2 if the pins were not audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SERVICES = ("pypi", "osv")
CLEAN, FOUND, NOT_AUDITED = 0, 1, 2


class NotAuditedError(Exception):
    """A service has not answered for all pins."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "pins", type=Path, nargs="?", default=ROOT / "constraints.txt", help="NAME==VERSION, one a line"
    )
    parser.add_argument("--osv-url", help="another address of OSV's query interface")
    asked = parser.parse_args(arguments)
    reasons = []
    for service in SERVICES:
        try:
            return report(audit(asked.pins, service, asked.osv_url), service)
        except NotAuditedError as error:
            reasons.append(f"{service}: {error}")
    print(f"not audited: {asked.pins.name}: no service answered for every pin. Nothing is known of them, good or bad.")
    print("\n".join(reasons))
    return NOT_AUDITED


def audit(pins: Path, service: str, osv_url: str | None) -> list[dict[str, Any]]:
    """Return what a service knows of each pin, as pip-audit writes it.

    Raises
    ------
    NotAuditedError
        If it has not answered, or not for every pin.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "report.json")
        options = [
            "--strict",
            "--no-deps",
            "--disable-pip",
            "--progress-spinner",
            "off",
            "--vulnerability-service",
            service,
        ]
        options += ["--cache-dir", folder, "--format", "json", "--output", str(answer)]  # no answer of an earlier day
        options += ["--osv-url", osv_url] if osv_url else []
        command = [sys.executable, "-m", "pip_audit", *options, "--requirement", str(pins)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = ended.stderr.strip().splitlines() or ["no word of pip-audit"]
        if not answer.exists():  # it writes one only when it has gone through all pins
            raise NotAuditedError(lines[-1])
        known: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))["dependencies"]
    missing = pinned(pins) - {canonicalize_name(one["name"]) for one in known if "vulns" in one}
    if missing:
        raise NotAuditedError(f"it has not answered for {', '.join(sorted(missing))}")
    return known


def pinned(pins: Path) -> set[str]:
    """Return the names of the pinned packages."""
    lines = (line.partition("#")[0].strip() for line in pins.read_text(encoding="utf-8").splitlines())
    found = {canonicalize_name(one.name) for one in map(Requirement, filter(None, lines)) if applies(one)}
    if not found:
        raise NotAuditedError(f"{pins} pins nothing")
    return found


def applies(pin: Requirement) -> bool:
    """Whether a pin is for this Python and system."""
    return pin.marker is None or pin.marker.evaluate()


def report(known: list[dict[str, Any]], service: str) -> int:
    """Print what is known and return the exit status."""
    vulnerable = [one for one in known if one["vulns"]]
    for one in vulnerable:
        for vuln in one["vulns"]:
            names = ", ".join([vuln["id"], *vuln["aliases"]])
            fixed = ", ".join(vuln["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {names}; mended in {fixed}")
    if not vulnerable:
        print(f"audited: {len(known)} pins by {service}, no known vulnerability")
    return FOUND if vulnerable else CLEAN


if __name__ == "__main__":
    sys.exit(main())
