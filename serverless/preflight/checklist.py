"""All checks, in the order in which each needs the ones before it."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from serverless.emulator.launcher import EmulatorStartError
from serverless.platforms.openwhisk.deploy import OpenWhisk, open_platform
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, PlatformError
from serverless.preflight import clock, inside_function, limits
from serverless.preflight.concurrency import POOL, crowd, spare_for
from serverless.preflight.connection import reach
from serverless.preflight.findings import Finding, failed, ok
from serverless.preflight.probe import Probe, probing
from serverless.preflight.store import open_here
from serverless.settings import ServerlessSettings
from serverless.storage import MinioSettings, ObjectStore, address
from serverless.storage.run_objects import RunObjects, Update
from task.engines.engine import engine_name
from task.job import FederatedJob

PLATFORM, DEPLOYMENT = "platform", "deployment"
_PATIENCE_S = 5.0  # a platform that does not answer is told, not waited for
_SHARE = 3  # of the invocations that a minute allows, a third at most is used up at once by the check itself


def examine(job: FederatedJob, settings: ServerlessSettings) -> Iterator[Finding]:
    """Yield what each check finds, as it finds it; what it deploys and stores is removed.

    Parameters
    ----------
    job, settings
        Of the run that is to be made.
    """
    if not isinstance(settings.platform, OpenWhiskSettings):
        yield failed(
            PLATFORM, f"{settings.platform.name} is not examined", f"only platform={OpenWhiskSettings.name} is"
        )
        return
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="preflight-"))) / "emulator.log"
        patient = replace(settings.platform, request_timeout_s=min(_PATIENCE_S, settings.platform.request_timeout_s))
        try:
            platform = stack.enter_context(open_platform(patient, log))
        except (PlatformError, EmulatorStartError, ValueError) as error:
            yield failed(PLATFORM, str(error), "see there")
            return
        try:
            yield from _Examination(job, settings, platform).findings()
        except PlatformError as error:
            yield failed(PLATFORM, str(error), "the platform stopped answering as it did before: look at its log")


@dataclass(frozen=True)
class _Examination:
    job: FederatedJob
    settings: ServerlessSettings
    platform: OpenWhisk

    def findings(self) -> Iterator[Finding]:
        client = self.platform.client
        if self.settings.platform.api_host is None:
            yield ok(PLATFORM, f"the embedded server, started for this check at {client.api_host}")
        reached = []
        for finding in reach(client):
            reached.append(finding)
            yield finding
        if any(finding.verdict == "failed" for finding in reached):
            yield Finding("all else", "not checked", "the platform cannot be used")
            return
        known = limits.learn(client)
        yield from limits.judge(known, self.settings, self.job.clients_per_round)
        yield from self._store_and_functions(known)

    def _store_and_functions(self, known: limits.Limits) -> Iterator[Finding]:
        opened = open_here(self.settings.store, f"preflight-{secrets.token_hex(4)}")
        yield opened.finding
        if isinstance(self.settings.store, MinioSettings) and opened.store:
            yield clock.of_store(self.settings.store)
        try:
            with probing(self.platform) as probe:
                yield from self._deployed(probe, opened.store, known)
        finally:
            if opened.store:
                opened.store.delete_prefix()

    def _deployed(self, probe: Probe, store: ObjectStore | None, known: limits.Limits) -> Iterator[Finding]:
        functions = (self.settings.aggregator, self.settings.client)
        try:
            engine, reached = engine_name(self.job.model), address(self.settings.store)
            deployed = [probe.deploy(replace(function, engine=engine, store=reached)) for function in functions]
        except PlatformError as error:
            yield failed(
                DEPLOYMENT, str(error), "raise the limit that it names, or lower platform.client and .aggregator"
            )
            yield Finding("in a function", "not checked", "there is none")
            return
        yield ok(DEPLOYMENT, "the platform takes functions with the limits of the client and of the aggregator")
        yield from self._run(probe, deployed[-1], store, known)

    def _run(
        self, probe: Probe, function: FunctionSpec, store: ObjectStore | None, known: limits.Limits
    ) -> Iterator[Finding]:
        image = inside_function.image(probe, function)
        yield image
        if image.verdict != "failed":
            yield inside_function.aggregation(probe, function, self.settings.aggregator, self.job)
        if store is not None:
            yield inside_function.store(probe, function, store, self.settings.grant_s)
            yield inside_function.payload(probe, function, self._largest_call(store))
        yield from clock.inside(probe, function, self.platform.client)
        wanted = min(self.settings.in_flight, self.job.clients_per_round)
        allowed = known.invocations_per_minute
        counted = wanted if allowed is None else max(1, min(wanted, allowed // _SHARE))
        spare = 0  # an embedded container is free when it has answered
        if self.settings.platform.api_host is not None and counted == wanted:
            most = [limit for limit in (known.concurrent_invocations, allowed and allowed // _SHARE) if limit]
            spare = spare_for(wanted, allowed_at_once=min(most, default=None))
        finding = crowd(probe, function, counted, spare)
        yield finding if counted == wanted else replace(finding, check=f"{POOL} ({counted} of {wanted})")

    def _largest_call(self, store: ObjectStore) -> int:
        """Return the bytes of the aggregator's parameters, with URLs as long as they will be."""
        objects = RunObjects(store, self.job, self.settings.grant_s)
        updates = [Update(self.job.clients - 1, 1, 60_000, "0" * 64)] * self.job.clients_per_round
        objects.adopt(self.job.rounds - 1, 1, "0" * 64)
        granted = objects.granted(self.job.rounds, updates)
        return len(json.dumps(objects.aggregator_params(self.job.rounds, 1, granted, "0" * 64)))
