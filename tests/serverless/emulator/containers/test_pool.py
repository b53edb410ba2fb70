"""The pool's laws, with containers that are none: whatever comes and goes, in whatever order."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from serverless.emulator.containers.pool import ContainerPool, PoolClosedError
from serverless.emulator.containers.workload import Limits
from serverless.emulator.openwhisk.entities import Action, Exec
from serverless.emulator.settings import EmulatorSettings

BUDGET_MB = 1024


def make_action(number, memory_mb):
    limits = Limits(timeout=1000, memory=memory_mb, logs=0)
    return Action(path=f"a{number}", exec=Exec("python:3", "", False), limits=limits, revision=number, updated=0)


class FakeContainer:
    """Takes a turn of the loop to end, as processes do."""

    def __init__(self, machine, action):
        self.machine, self.action, self.is_alive, self.is_initialized = machine, action, True, False
        machine.existing.add(self)
        machine.started += 1

    def pause(self):
        pass

    def resume(self):
        pass

    async def kill(self):
        self.is_alive = False
        await asyncio.sleep(0.001)
        self.machine.existing.discard(self)

    async def destroy(self):
        assert self not in self.machine.existing
        self.machine.destroyed += 1


class Machine:
    """Counts what exists."""

    def __init__(self):
        self.existing = set()
        self.order = []
        self.started = self.destroyed = 0
        settings = EmulatorSettings(pool_memory_mb=BUDGET_MB, memory_max_mb=BUDGET_MB)
        self.pool = ContainerPool(settings, lambda action: FakeContainer(self, action))

    def used_mb(self):
        return sum(container.action.limits.memory for container in self.existing)

    async def activation(self, number, action, turns, keep):
        container = await self.pool.acquire(action)
        self.order.append(number)
        assert container.action.revision == action.revision
        assert self.used_mb() <= BUDGET_MB, "the budget counts what has not ended yet"
        assert not getattr(container, "in_use", False)
        container.in_use = True
        for _ in range(turns):
            await asyncio.sleep(0)
        container.in_use = False
        if not keep:
            await container.kill()
        self.pool.release(container, keep=keep)


ACTIONS = [make_action(i, memory_mb) for i, memory_mb in enumerate((128, 128, 256, 512, 1024))]


CALLS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.booleans()), max_size=40)


@given(calls=CALLS)
def test_everyone_is_served_in_order_within_the_budget_and_nothing_is_left(calls):
    async def run():
        machine = Machine()
        await asyncio.gather(*(machine.activation(i, *call) for i, call in enumerate(calls)))
        assert machine.order == list(range(len(calls))), "first come, first served"
        await machine.pool.close()
        assert machine.existing == set()
        assert machine.started == machine.destroyed

    asyncio.run(asyncio.wait_for(run(), 30))


def test_closing_ends_who_waits():
    async def run():
        machine = Machine()
        large = ACTIONS[-1]
        busy = await machine.pool.acquire(large)
        waiting = asyncio.create_task(machine.pool.acquire(large))
        await asyncio.sleep(0)
        closing = asyncio.create_task(machine.pool.close())
        try:
            await waiting
        except PoolClosedError:
            machine.pool.release(busy, keep=True)
        await closing
        assert machine.existing == set()
        try:
            await machine.pool.acquire(large)
        except PoolClosedError:
            return True
        return False

    assert asyncio.run(asyncio.wait_for(run(), 30))
