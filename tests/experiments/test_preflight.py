"""``python -m experiments.preflight`` as people use it."""

import pytest

from experiments import preflight
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from tests.support.local_s3 import start_minio


@pytest.mark.server
def test_the_embedded_server_would_run_the_smoke_experiment(capsys):
    assert preflight.main(["+exp=smoke", "platform=openwhisk", "platform.in_flight=2"]) == 0
    said = capsys.readouterr().out
    assert "it would run" in said
    for check in ("runtime image", "store, functions", "clock, functions", "pool"):
        assert check in said


@pytest.mark.server
def test_a_deployment_is_a_matter_of_configuration_and_what_is_wrong_has_an_exit_code(capsys, tmp_path, monkeypatch):
    """OpenWhisk's standard limits, which are too small for TensorFlow, and a real object store."""
    with start_emulator(EmulatorSettings(), tmp_path / "log") as server, start_minio(tmp_path, tmp_path / "s3") as s3:
        for name, value in {**s3.env, "OPENWHISK_AUTH": server.auth}.items():
            monkeypatch.setenv(name, value)
        where = [f"platform.api_host={server.api_host}", "store=minio", f"store.endpoint={s3.endpoint}"]
        assert preflight.main(["+exp=smoke", "platform=openwhisk", *where]) == 1
    said = capsys.readouterr().out
    assert "1024 MB needed, 512 MB allowed" in said
    assert "raise the deployment's limit" in " ".join(said.split())
    assert "it would not run" in said
    for secret in (server.auth.partition(":")[2], *s3.env.values()):
        assert secret not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["+exp=smoke", "clients_per_round=0"], "clients_per_round=0"),
        (["+exp=smoke", "platform.api_host=https://ow.example.org"], "use store=minio"),
    ],
)
def test_a_wrong_configuration_is_told_before_anything_is_tried(words, says, capsys):
    assert preflight.main(words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert not said.out
