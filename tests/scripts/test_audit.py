"""The audit says "none known" only when a service has answered for every pin; everything else is not audited."""

import json
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.tiers import starts

ROOT = Path(__file__).parents[2]
VULN = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["2.0"], "summary": "bad"}
OSV_VULN = {"id": "OSV-1", "aliases": ["CVE-2"], "summary": "worse", "affected": []}
CLEAN = (200, json.dumps({"vulnerabilities": []}))
PAGE = (200, "<html>please log in</html>")


class Services:
    """The index's service, behind a proxy that has its name's certificate, and OSV's; ``None``: no answer."""

    def __init__(self, authority, ca_file):
        self.index, self.osv = CLEAN, (200, "{}")
        self.asked = []
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                authority.issue_cert(self.path.partition(":")[0]).configure_cert(context)
                self.send_response(200)
                self.end_headers()
                if services.index is None:
                    return
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                self.handle_one_request()
                self.wfile.flush()
                self.close_connection = True

            def do_GET(self):
                name = self.path.split("/")[2]
                services.asked.append(name)
                self.answer(services.index(name) if callable(services.index) else services.index)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(services.osv)

            def answer(self, answer):
                if answer is None:
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._trusted = str(ca_file)

    def audit(self, pins):
        command = [sys.executable, str(ROOT / "scripts" / "audit.py"), str(pins), "--osv-url", self.url]
        environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        environment |= {"HTTPS_PROXY": self.url, "REQUESTS_CA_BUNDLE": self._trusted}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return ended.returncode, ended.stdout


@pytest.fixture
@starts("server")
def services(authority, ca_file):
    found = Services(authority, ca_file)
    thread = Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def pins(tmp_path):
    path = tmp_path / "pins.txt"
    path.write_text("# a comment\none==1.0\nOther_one==2.0\nnever==1; python_version < '3'\n", encoding="utf-8")
    return path


def test_none_known_is_said_when_every_pin_was_answered_for(services, pins):
    assert services.audit(pins) == (0, "audited: 2 pins by pypi, no known vulnerability\n")
    assert sorted(services.asked) == ["one", "other-one"]


def test_a_known_vulnerability_is_named_with_its_mend(services, pins):
    services.index = lambda name: (200, json.dumps({"vulnerabilities": [VULN] if name == "one" else []}))
    status, said = services.audit(pins)
    assert (status, said) == (1, "one 1.0: PYSEC-1, CVE-1; mended in 2.0\n")


def test_the_second_service_is_asked_when_the_first_does_not_answer(services, pins):
    services.index, services.osv = (404, ""), (200, json.dumps({"vulns": [OSV_VULN]}))
    status, said = services.audit(pins)
    assert status == 1
    assert "one 1.0: CVE-2, OSV-1; mended in no version yet" in said


@pytest.mark.parametrize("answer", [None, (500, "broken"), (503, ""), PAGE, (404, "")], ids=str)
def test_without_an_answer_nothing_was_audited(answer, services, pins):
    services.index = answer
    services.osv = (500, "broken") if answer in (PAGE, (404, "")) else answer
    status, said = services.audit(pins)
    assert status == 2
    assert said.startswith("not audited: pins.txt: no service answered for every pin")
    assert "no known" not in said


def test_one_pin_without_an_answer_is_enough(services, pins):
    services.index, services.osv = lambda name: CLEAN if name == "one" else (404, ""), (500, "")
    status, said = services.audit(pins)
    assert status == 2
    assert "other-one" in said


def test_no_pins_are_no_audit(services, tmp_path):
    empty = tmp_path / "none.txt"
    empty.write_text("# nothing\n", encoding="utf-8")
    status, said = services.audit(empty)
    assert (status, "pins nothing" in said) == (2, True)
