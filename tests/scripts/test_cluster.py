"""The cluster's scripts: well written by the tools that know, and right in the parts that can be tried here."""

import json
import os
import re
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "scripts" / "cluster"
TOOLS = Path(sys.executable).parent
SCRIPTS = sorted([*CLUSTER.glob("*.sh"), *(ROOT / "scripts" / "runtime").glob("*.sh")])


def bash(tmp_path, commands, **environment):
    """Run commands after lib.sh and steps.sh, with a state folder of their own; programs are stubs in ``bin``."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    script = f'set -euo pipefail\nsource "{CLUSTER}/lib.sh"\nsource "{CLUSTER}/steps.sh"\n{commands}\n'
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    settings = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "STATE": str(state), "LOCK": str(tmp_path / "lock")}
    return subprocess.run(
        ["bash", "-c", script],
        env=settings | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def stub(tmp_path, name, body):
    """A program that writes down how it was called, and then does as told."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >>"{tmp_path}/calls"\n{body}\n', encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    found = subprocess.run(
        [str(TOOLS / "shellcheck"), "--external-sources", "--source-path", str(ROOT), str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


@pytest.mark.parametrize("path", sorted(CLUSTER.glob("*.yaml")), ids=lambda path: path.name)
def test_yamllint_finds_nothing(path):
    rules = {"line-length": {"max": 120}, "document-start": "disable", "comments": {"min-spaces-from-content": 1}}
    found = subprocess.run(
        [str(TOOLS / "yamllint"), "--strict", "-d", json.dumps({"extends": "default", "rules": rules}), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


@pytest.mark.parametrize("script", ["up.sh", "down.sh", "lock-images.sh"])
def test_a_script_that_is_run_stops_at_its_first_error(script):
    assert "\nset -euo pipefail\n" in (CLUSTER / script).read_text(encoding="utf-8")


def test_nothing_is_waited_for_by_sleeping():
    """The one sleep is the pause between two tries of wait_until, which has a time-out."""
    sleeps = [line for script in SCRIPTS for line in script.read_text(encoding="utf-8").splitlines() if "sleep" in line]
    assert len(sleeps) == 1


def test_waiting_ends_with_what_was_waited_for(tmp_path):
    done = bash(tmp_path, 'wait_until "the moon" false', TIMEOUT_S="1")
    assert done.returncode == 1
    assert "the moon: not ready after 1 s" in done.stderr
    ready = tmp_path / "ready"
    assert bash(tmp_path, f'wait_until it test -e "{ready}" || exit 9; exit 3', TIMEOUT_S="1").returncode == 1
    ready.touch()
    assert bash(tmp_path, f'wait_until it test -e "{ready}"; exit 3', TIMEOUT_S="1").returncode == 3


@pytest.mark.parametrize("choice", [{"CLUSTER": "minikube"}, {"POOL_MEMORY_MB": "4G"}, {"TIMEOUT_S": "soon"}], ids=str)
def test_a_choice_that_is_none_is_refused_before_anything_is_done(tmp_path, choice):
    done = bash(tmp_path, "check_choice", **choice)
    (key, value), *_ = choice.items()
    assert done.returncode == 1
    assert f"{key}={value}" in done.stderr


def locked(tmp_path, digest="sha256:" + "0f" * 32):
    """Write a lock with a registry that knows every image."""
    stub(tmp_path, "docker", f"echo {digest}")
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOCK": str(tmp_path / "lock")}
    script = str(CLUSTER / "lock-images.sh")
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def test_the_lock_has_every_image_with_the_digest_that_the_registry_named(tmp_path):
    assert locked(tmp_path).returncode == 0
    images = [line.split() for line in (CLUSTER / "images.txt").read_text().splitlines() if line[0] != "#"]
    lines = [line.split() for line in (tmp_path / "lock").read_text().splitlines() if line[0] != "#"]
    assert lines == [[*image[:3], f"{image[3]}@sha256:{'0f' * 32}"] for image in images]
    kafka = bash(tmp_path, "image_of kafka").stdout.strip()
    assert kafka == f"wurstmeister/kafka:2.12-2.3.1@sha256:{'0f' * 32}"
    calls = (tmp_path / "calls").read_text()
    assert locked(tmp_path).returncode == 0  # a second time asks nobody
    assert (tmp_path / "calls").read_text() == calls


@pytest.mark.parametrize("answer", ["", "latest", "sha256:12"])
def test_what_is_no_digest_is_never_written_down(tmp_path, answer):
    done = locked(tmp_path, answer)
    assert done.returncode == 1
    assert "wurstmeister/kafka:2.12-2.3.1 (kafka)" in done.stderr
    assert not (tmp_path / "lock").exists()


def test_no_digest_is_in_the_repository_but_that_of_kinds_own_source():
    found = {
        digest
        for path in [*CLUSTER.iterdir(), *(ROOT / "scripts" / "runtime").iterdir()]
        if path.is_file() and path.name != "images.lock"
        for digest in re.findall(r"sha256:[0-9a-f]{64}", path.read_text(encoding="utf-8"))
    }
    assert found == {"sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"}


def test_values_name_every_image_of_the_chart_by_digest_and_the_pool(tmp_path):
    locked(tmp_path)
    bash(tmp_path, "write_values", POOL_MEMORY_MB="3000")
    values = yaml.safe_load((tmp_path / "state" / "values.yaml").read_text())
    assert values.pop("whisk") == {"containerPool": {"userMemory": "3000m"}}
    images = [line.split() for line in (CLUSTER / "images.txt").read_text().splitlines()]
    charts = {image[1]: image[2] for image in images if image[0] == "chart"}
    assert {key: value["imageName"] for key, value in values.items()} == charts
    assert all("@sha256:" in value["imageTag"] for value in values.values())


def test_keys_are_made_once_and_only_the_user_can_read_them(tmp_path):
    bash(tmp_path, "make_secrets")
    secrets = tmp_path / "state" / "secrets.yaml"
    first = secrets.read_text()
    values = yaml.safe_load(first)
    assert (tmp_path / "state" / "openwhisk.auth").read_text() == values["whisk"]["auth"]["guest"]
    assert values["whisk"]["auth"]["guest"] != values["whisk"]["auth"]["system"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{64}", values["whisk"]["auth"]["guest"])
    assert secrets.stat().st_mode & 0o077 == 0
    bash(tmp_path, "make_secrets")
    assert secrets.read_text() == first


@pytest.mark.server
def test_the_certificate_is_good_for_a_client_that_checks(tmp_path):
    stub(tmp_path, "kubectl", "cat >/dev/null </dev/null")
    done = bash(tmp_path, "make_certificate")
    assert done.returncode == 0, done.stderr
    state = tmp_path / "state"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state / "ca.pem", state / "key.pem")

    class Ok(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_): ...

    with HTTPServer(("127.0.0.1", 0), Ok) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            session = requests.Session()
            session.trust_env = False
            url = f"https://localhost:{server.server_port}"
            assert session.get(url, verify=str(state / "ca.pem"), timeout=10).status_code == 204
            with pytest.raises(requests.exceptions.SSLError):
                session.get(url, timeout=10)
        finally:
            server.shutdown()
            thread.join()


def test_the_runtimes_have_python_3_as_our_image_by_its_own_tag(tmp_path):
    chart = tmp_path / "state" / "chart"
    (chart / "helm" / "openwhisk").mkdir(parents=True)
    stub(tmp_path, "git", f"echo {pinned('CHART_COMMIT')}")  # the chart is there already
    assert bash(tmp_path, "fetch_chart").returncode == 0
    manifest = json.loads((chart / "helm" / "openwhisk" / "runtimes-federated.json").read_text())
    (python,) = manifest["runtimes"]["python"]
    build = str(ROOT / "scripts" / "runtime" / "build.sh")
    environment = {"PATH": os.environ["PATH"], "LOCK": str(tmp_path / "lock")}
    tag = subprocess.run([build, "--print-tag"], env=environment, capture_output=True, text=True, check=True)
    assert python["kind"] == "python:3"
    assert python["image"]["tag"] == tag.stdout.strip()
    assert "@" not in manifest["runtimes"]["nodejs"][0]["image"]["tag"][0]
    assert "fetch" not in (tmp_path / "calls").read_text()


def test_the_image_is_built_on_any_base_that_is_named(tmp_path):
    """A stub stands for docker: what it is asked for is what is tested."""
    stub(tmp_path, "docker", "[[ $1 != image ]]")  # there is no such image yet
    build = str(ROOT / "scripts" / "runtime" / "build.sh")
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOCK": str(tmp_path / "lock")}

    def tag(**base):
        return subprocess.run([build, "--print-tag"], env=environment | base, capture_output=True, check=True).stdout

    mine = tag(BASE="python-of-mine:1")
    assert len({tag(), mine, tag(BASE="python-of-mine:2")}) == 3
    subprocess.run([build], env=environment | {"BASE": "python-of-mine:1"}, capture_output=True, check=True)
    (built,) = (call for call in (tmp_path / "calls").read_text().splitlines() if call.startswith("docker build"))
    assert "--build-arg BASE=python-of-mine:1" in built
    assert f":{mine.decode().strip()} " in built


def pinned(name):
    (value,) = re.findall(rf"^{name}=(.*)$", (CLUSTER / "versions.env").read_text(), flags=re.MULTILINE)
    return value


@pytest.mark.parametrize(("clusters", "creates"), [("other\\nfl", False), ("other", True), ("flavour", True)])
def test_a_kind_cluster_is_made_only_if_it_is_not_there(tmp_path, clusters, creates):
    stub(tmp_path, "kind", f"[[ $1 == get ]] && printf '{clusters}\\n'; exit 0")
    assert bash(tmp_path, "make_kind").returncode == 0
    assert ("kind create cluster" in (tmp_path / "calls").read_text()) is creates


def test_down_removes_the_cluster_and_the_keys(tmp_path):
    bash(tmp_path, "make_secrets")
    for program in ("kind", "docker"):
        stub(tmp_path, program, "exit 0")
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "STATE": str(tmp_path / "state")}
    subprocess.run([CLUSTER / "down.sh"], env=environment, check=True, capture_output=True)
    assert (tmp_path / "calls").read_text() == "kind delete cluster --name fl\n"
    assert not (tmp_path / "state").exists()


def test_k3s_that_was_there_before_stays(tmp_path):
    for program in ("helm", "kubectl"):
        stub(tmp_path, program, "exit 0")
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "STATE": str(tmp_path / "state"),
        "CLUSTER": "k3s",
    }
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kubeconfig").write_text("apiVersion: v1\n")
    subprocess.run([CLUSTER / "down.sh"], env=environment, check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text()
    assert "helm uninstall owdev" in calls
    assert "kubectl delete namespace openwhisk minio" in calls
    assert "k3s-uninstall" not in calls


def test_ports_and_names_agree_between_the_files():
    kind = yaml.safe_load((CLUSTER / "kind.yaml").read_text())
    ports = {port["containerPort"] for node in kind["nodes"] for port in node["extraPortMappings"]}
    openwhisk = yaml.safe_load((CLUSTER / "openwhisk.yaml").read_text())
    minio, _ = yaml.safe_load_all((CLUSTER / "minio.yaml").read_text())
    (outside,) = minio["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == {openwhisk["nginx"]["httpsNodePort"], outside["hostPort"]}
    assert openwhisk["whisk"]["ingress"]["apiHostPort"] == openwhisk["nginx"]["httpsNodePort"]


@pytest.mark.parametrize("cluster", ["kind", "k3s"])
def test_minio_is_open_to_this_machine_alone(tmp_path, cluster):
    """Under k3s the node is the machine: loopback is asked for. kind's node is a container, published on loopback."""
    (tmp_path / "state").mkdir()
    stub(tmp_path, "kubectl", f'case "$*" in *create*) ;; *apply*) cat >>"{tmp_path}/applied" ;; esac')
    bash(tmp_path, "install_minio", CLUSTER=cluster)
    minio, service = yaml.safe_load_all((tmp_path / "applied").read_text())
    assert service["spec"]["type"] == "ClusterIP"  # a node port would listen on every address of the machine
    (port,) = minio["spec"]["template"]["spec"]["containers"][0]["ports"]
    kind = yaml.safe_load((CLUSTER / "kind.yaml").read_text())
    published = {mapping["listenAddress"] for node in kind["nodes"] for mapping in node["extraPortMappings"]}
    on_the_machine = {port["hostIP"]} if cluster == "k3s" else published
    assert on_the_machine == {"127.0.0.1"}
    assert port["hostIP"] == {"k3s": "127.0.0.1", "kind": "0.0.0.0"}[cluster]


def test_the_limits_hold_what_the_configured_functions_ask_for():
    platform = yaml.safe_load((ROOT / "conf" / "platform" / "openwhisk.yaml").read_text())
    limits = yaml.safe_load((CLUSTER / "openwhisk.yaml").read_text())["whisk"]["limits"]
    actions = limits["actions"]
    for function in ("client", "aggregator"):
        assert platform[function]["memory_mb"] <= int(actions["memory"]["max"].removesuffix("m"))
        assert platform[function]["timeout_s"] <= 60 * int(actions["time"]["max"].removesuffix("m"))
    assert limits["actionsInvokesPerminute"] == platform["invocations_per_minute"]
    assert limits["actionsInvokesConcurrent"] == platform["concurrent_invocations"]
