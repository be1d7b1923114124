"""Waiting for a place: in order, across threads, without a lost wake-up."""

import asyncio
import threading
import time

import pytest
from fakes import Clock
from pools import CALL, deployment, deployments, leased, pool_of, refused

from providers.errors import RateLimitError
from router.pool import Lease, Pool, Shortage
from router.pool.waiters import Queue

LONG = 60.0
"""Seconds nobody waits: what is to happen happens at once, or the test fails by its timeout."""


def full(clock: Clock, places: int = 1) -> tuple[Pool, list[Lease]]:
    pool = pool_of([deployment("d0", max_parallel_requests=places)], clock=clock)
    return pool, [leased(pool.lease("g", CALL)) for _ in range(places)]


async def started(*tasks: "asyncio.Task[object]") -> None:
    """Let the tasks run until they wait."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def take(pool: Pool) -> Lease:
    """What a caller does: lease, or wait in line and try again, without losing its place."""
    waiter = None
    while True:
        got = pool.lease("g", CALL)
        if isinstance(got, Lease):
            return got
        waiter = await pool.wait("g", LONG, since=got, again=waiter)


async def test_a_freed_place_wakes_a_waiter(clock: Clock) -> None:
    pool, (held,) = full(clock)
    task = asyncio.create_task(pool.wait("g", LONG))
    await started(task)
    held.succeed()
    waiter = await task
    assert waiter is not None
    assert (waiter.place, waiter.woken) == (0, True)


async def test_places_go_to_those_who_waited_longest(clock: Clock) -> None:
    pool, held = full(clock)
    got: list[int] = []

    async def caller(number: int) -> None:
        lease = await take(pool)
        got.append(number)
        lease.succeed()

    tasks = [asyncio.create_task(caller(number)) for number in range(10)]
    await started(*tasks)
    held.pop().succeed()
    await asyncio.gather(*tasks)
    assert got == list(range(10))


async def test_each_freed_place_wakes_somebody(clock: Clock) -> None:
    """Two come free before the first waiter has run: the deployment is not full when the second does."""
    pool, held = full(clock, places=2)
    tasks = [asyncio.create_task(take(pool)) for _ in range(2)]
    await started(*tasks)
    for lease in held:
        lease.succeed()
    await asyncio.gather(*tasks)


async def test_one_that_finds_nothing_for_itself_lets_the_next_have_it(clock: Clock) -> None:
    """The first in line may only use d0; d1 gets free."""
    pool = pool_of(deployments(2, max_parallel_requests=1), clock=clock)
    held = {lease.deployment.id: lease for lease in (leased(pool.lease("g", CALL)) for _ in range(2))}
    home = held["d0"].deployment

    async def pinned() -> Lease:
        waiter = None
        while isinstance(got := pool.lease("g", CALL, among=[home]), Shortage):
            waiter = await pool.wait("g", LONG, since=got, again=waiter)
        return got

    first = asyncio.create_task(pinned())
    second = asyncio.create_task(take(pool))
    await started(first, second)
    held["d1"].succeed()
    taken = await second
    assert taken.deployment.id == "d1"
    await started(first)
    held["d0"].succeed()
    assert (await first).deployment is home


async def test_one_that_gives_up_lets_the_next_have_it(clock: Clock) -> None:
    pool, (held,) = full(clock)
    first, second = (asyncio.create_task(pool.wait("g", LONG)) for _ in range(2))
    await started(first, second)
    held.succeed()
    waiter = await first
    assert waiter is not None
    await started(second)
    pool.pass_on("g", waiter)
    assert await second
    events = pool._groups["g"].queue.events
    pool.pass_on("g", waiter)
    assert pool._groups["g"].queue.events == events, "only once"
    pool.pass_on("nobody", waiter)


async def test_one_that_was_not_woken_has_nothing_to_pass_on(clock: Clock) -> None:
    pool, _held = full(clock)
    waiter = await pool.wait("g", 0.0)
    assert waiter is not None
    second = asyncio.create_task(pool.wait("g", LONG))
    await started(second)
    pool.pass_on("g", waiter)
    await started(second)
    pool.wake_all()
    assert await second


async def test_what_happened_since_the_shortage_is_not_missed(clock: Clock) -> None:
    """Another thread frees the place between the lease and the wait."""
    pool, (held,) = full(clock)
    shortage = refused(pool.lease("g", CALL))
    held.succeed()
    assert await pool.wait("g", LONG, since=shortage) is None
    waiter = await pool.wait("g", 0.0)
    assert await pool.wait("g", LONG, since=shortage, again=waiter) is waiter


async def test_it_waits_no_longer_than_told(clock: Clock) -> None:
    pool, _held = full(clock)
    await pool.wait("g", 0.0)
    await pool.wait("g", -1.0)
    assert pool._groups["g"].queue.waiting == []


async def test_nobody_waits_for_a_group_that_is_not_there(clock: Clock) -> None:
    pool, _held = full(clock)
    assert await pool.wait("nobody", LONG) is None


async def test_the_end_of_a_block_ends_the_wait(clock: Clock) -> None:
    pool = Pool(clock=time.monotonic)
    other = pool_of(deployments(1), clock=clock)
    pool.update({"g": (deployments(1), other._groups["g"].strategy)})
    leased(pool.lease("g", CALL)).fail(RateLimitError("x", retry_after=0.02))
    while isinstance(got := pool.lease("g", CALL), Shortage):
        assert got.kind == "quota"
        await pool.wait("g", LONG, since=got)
    got.cancel()


async def test_a_block_that_begins_later_is_not_slept_through(clock: Clock) -> None:
    """Whoever waits for a place must look again when a clock starts to run."""
    pool, (held,) = full(clock)
    task = asyncio.create_task(pool.wait("g", LONG))
    await started(task)
    held.observe_headers({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5s"})
    await task
    held.cancel()
    assert refused(pool.lease("g", CALL)).wait == 5


async def test_an_open_breaker_that_is_due_for_a_probe_wakes(clock: Clock) -> None:
    pool, (held,) = full(clock, 1)
    pool.impose("d0", "breaker", 5)
    clock.advance(5)
    task = asyncio.create_task(pool.wait("g", LONG))
    await started(task)
    held.cancel()
    await task
    assert leased(pool.lease("g", CALL)).probe


async def test_a_swap_wakes_everybody(clock: Clock) -> None:
    pool, held = full(clock)
    tasks = [asyncio.create_task(pool.wait("g", LONG)) for _ in range(3)]
    await started(*tasks)
    pool.update({"g": (deployments(2), pool._groups["g"].strategy)})
    await asyncio.gather(*tasks)
    tasks = [asyncio.create_task(pool.wait("g", LONG)) for _ in range(3)]
    await started(*tasks)
    pool.update({})
    await asyncio.gather(*tasks)
    assert len(held) == 1


async def test_a_cancelled_waiter_leaves_the_line(clock: Clock) -> None:
    pool, (held,) = full(clock)
    first, second = (asyncio.create_task(pool.wait("g", LONG)) for _ in range(2))
    await started(first, second)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    held.succeed()
    await second


async def test_a_waiter_cancelled_after_it_was_woken_passes_it_on(clock: Clock) -> None:
    pool, (held,) = full(clock)
    first, second = (asyncio.create_task(pool.wait("g", LONG)) for _ in range(2))
    await started(first, second)
    held.succeed()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second


async def test_a_place_freed_in_another_thread_wakes(clock: Clock) -> None:
    pool, (held,) = full(clock)
    task = asyncio.create_task(pool.wait("g", LONG))
    await started(task)
    thread = threading.Thread(target=held.succeed)
    thread.start()
    await task
    thread.join()


async def test_a_place_freed_by_the_collector_wakes(clock: Clock) -> None:
    pool, held = full(clock)
    task = asyncio.create_task(pool.wait("g", LONG))
    await started(task)
    held.clear()
    await task


async def test_waiters_in_several_loops_and_threads_all_get_their_turn() -> None:
    pool = Pool()
    strategy = pool_of([], clock=Clock())._groups["g"].strategy
    pool.update({"g": (deployments(2, max_parallel_requests=1), strategy)})
    served: list[int] = []

    async def callers() -> None:
        async def caller() -> None:
            lease = await take(pool)
            await asyncio.sleep(0)
            served.append(1)
            lease.succeed()

        await asyncio.gather(*(caller() for _ in range(50)))

    threads = [threading.Thread(target=lambda: asyncio.run(callers())) for _ in range(3)]
    for thread in threads:
        thread.start()
    await callers()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(served) == 200


async def test_a_waiter_whose_loop_is_gone_is_passed_over() -> None:
    queue = Queue()
    dead = asyncio.new_event_loop()
    queue.enter(dead, None)
    dead.close()
    alive = queue.enter(asyncio.get_running_loop(), None)
    queue.stir()
    await alive.future
    assert queue.waiting == []
    assert queue.events == 1


async def test_a_place_taken_earlier_counts() -> None:
    queue, loop = Queue(), asyncio.get_running_loop()
    first, second, third = (queue.enter(loop, None) for _ in range(3))
    assert queue.leave(second)
    assert not queue.leave(second)
    again = queue.enter(loop, second.place)
    queue.wake_next(first.place)
    await again.future
    assert not first.future.done()
    queue.wake_next(third.place)
    assert queue.waiting == [first, third]
