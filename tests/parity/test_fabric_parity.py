"""One federation over three platforms at once ends with the weights of the bare loop, to the last bit."""

from dataclasses import replace

import pytest

from baselines import inprocess
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.fabric.groups import Fabric, Group
from serverless.fabric.settings import FabricSettings, SiteSettings
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.settings import Pace
from serverless.storage import DirectorySettings
from task.job import FederatedJob
from task.weights import sha256

JOB = FederatedJob(model="nn", clients=6, clients_per_round=6, rounds=2, local_epochs=1, batch_size=500, seed=3)
MB = 1024
PLATFORMS = {
    "edge": (1, OpenFaasSettings(pool_memory_mb=2 * MB, pace=Pace(cpu_share=0.579))),
    "private": (2, OpenWhiskSettings(pool_memory_mb=3 * MB, pace=Pace(cpu_share=1.0))),
    "cloud": (3, GoogleSettings(pool_memory_mb=2 * MB, pace=Pace(cpu_share=0.633, cpu_enforcement="simulated"))),
}


def settings(data, directory):
    client = FunctionSpec("client", memory_mb=MB, timeout_s=120)
    sites = tuple(
        SiteSettings(Group(name, platform.name, clients, MB, cpu_share=platform.pace.cpu_share), platform, client)
        for name, (clients, platform) in PLATFORMS.items()
    )
    fabric = Fabric("test", tuple(site.group for site in sites), aggregator="private")
    return keeper.ServerlessSettings(
        platform=OpenWhiskSettings(),
        store=DirectorySettings(directory / "store"),
        data=data,
        client=client,
        aggregator=replace(client, name="aggregator"),
        fabric=FabricSettings(fabric, sites, "cgroup"),
    )


@pytest.mark.server
@pytest.mark.training
@pytest.mark.exhaustive
def test_a_fabric_of_three_platforms_ends_with_the_weights_of_the_bare_loop(mnist_settings, tmp_path):
    for name in ("fabric", "inprocess"):
        (tmp_path / name).mkdir()
    alone = inprocess.run(
        JOB, inprocess.InprocessSettings(workers=2, data=mnist_settings), Recorder("bare", tmp_path / "inprocess")
    )
    together = keeper.run(JOB, settings(mnist_settings, tmp_path / "fabric"), Recorder("fabric", tmp_path / "fabric"))
    assert sha256(together) == sha256(alone)
    calls = read_run(tmp_path / "fabric", "invocations").to_pandas()
    clients = calls[calls["function"] == "client"]
    where = clients.groupby("client_id")[["platform", "fabric_group", "cpu_share"]].agg(set)
    assert where["platform"].tolist() == [{"openfaas"}, *2 * [{"openwhisk"}], *3 * [{"google"}]]
    assert where["fabric_group"].tolist() == [{"edge"}, *2 * [{"private"}], *3 * [{"cloud"}]]
    assert where["cpu_share"].tolist() == [{0.579}, *2 * [{1.0}], *3 * [{0.633}]]
    assert set(calls[calls["function"] == "aggregator"]["platform"]) == {"openwhisk"}
    assert (clients["status"] == "success").all()
