"""Budgets that Routers share, on every kind of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from threading import Thread
from typing import Any

import pytest
from redis.exceptions import ResponseError
from redis_servers import Server, eventually

from checks.budgets.board import Page, Want
from router.stores import redis_budgets
from router.stores.redis_budgets import RedisBudgets
from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink
from router.stores.redis_url import RedisSettings

SettingsOf = Callable[[str], RedisSettings]
Boards = tuple[RedisBudgets, RedisBudgets, RedisLink]
_writers = count()


def page(name: str = "ann", *, spent: int = 0, reserved: int = 0) -> Page:
    """A budget's page in one Router's hands."""
    made = Page("end_user", name, "1d", 7, f"w{next(_writers)}", 3_600.0)
    if spent or reserved:
        made.change(spent=spent, reserved=reserved)
    return made


async def others(board: RedisBudgets, *names: str) -> list[tuple[int, int]]:
    """What somebody who has nothing hears."""
    pages = [page(name) for name in names or ("ann",)]
    assert await board.claim([], pages) == -1
    return [(each.spent, each.reserved) for each in pages]


async def claim(board: RedisBudgets, where: Page, amount: int, limit: int = 10) -> bool:
    found = await board.claim([Want(where, amount, limit)], [])
    assert found in (-1, 0)
    return found == -1


@pytest.fixture(params=["tcp", "password", "cluster", "sentinel"])
async def boards(request: pytest.FixtureRequest, settings_of: SettingsOf, prefix: str) -> AsyncIterator[Boards]:
    """Those of two Routers, and a look behind them."""
    links = [RedisLink(settings_of(request.param), timeout=20) for _ in range(3)]
    yield RedisBudgets(links[0], prefix=prefix), RedisBudgets(links[1], prefix=prefix), links[2]
    for link in links:
        await link.aclose()
        assert link.stats.errors == 0


async def test_each_hears_what_the_others_have(boards: Boards) -> None:
    one, other, _ = boards
    mine, theirs = page(spent=5, reserved=3), page(spent=2, reserved=1)
    await one.claim([], [mine])
    await other.claim([], [theirs, bob := page("bob")])
    assert (theirs.others_spent, theirs.others_reserved) == (5, 3)
    assert (bob.spent, bob.reserved) == (0, 0)
    await one.claim([], [mine])
    assert (mine.spent, mine.reserved) == (7, 4)


async def test_a_claim_is_granted_for_all_or_for_nothing(boards: Boards) -> None:
    one, other, _ = boards
    mine, theirs, bob = page(), page(), page("bob")
    assert await claim(one, mine, 6)
    assert await other.claim([Want(bob, 3, 10), Want(theirs, 6, 10)], []) == 1
    assert await others(one, "ann", "bob") == [(0, 6), (0, 0)]
    assert (bob.reserved, theirs.reserved, theirs.others_reserved) == (0, 6, 6)
    assert await other.claim([Want(bob, 3, 10), Want(theirs, 4, 10)], []) == -1
    assert await others(one, "ann", "bob") == [(0, 10), (0, 3)]
    assert not await claim(other, theirs, 0), "what is used up has no room for nothing"


async def test_claims_of_a_burst_are_judged_one_after_the_other(boards: Boards) -> None:
    one, other, _ = boards
    mine, theirs = page(), page()
    claims = [claim(*((one, mine) if n % 2 else (other, theirs)), 3, 30) for n in range(400)]
    assert sum(await asyncio.gather(*claims)) == 10
    assert await others(one) == [(0, 30)]


async def test_what_is_told_is_sent_in_the_background_the_newest_of_each(boards: Boards) -> None:
    one, other, _ = boards
    ann, bob = page(), page("bob")
    for _ in range(50):
        ann.change(spent=1)
        bob.change(spent=2, reserved=1)
        one.tell(ann)
        one.tell(bob)
    await one._link.aclose()
    assert one.waiting == 0
    assert await others(other, "ann", "bob") == [(50, 0), (100, 50)]


async def test_pages_end_with_their_windows(boards: Boards, prefix: str) -> None:
    one, _, look = boards
    mine = page(spent=1, reserved=1)
    await one.claim([], [mine])
    key = f"{prefix}:{{budgets}}:end_user:1d:7:ann"
    for name in (key, f"{key}:held"):
        left = await look.run(("PTTL", name))
        assert isinstance(left, int)
        assert 3_600_000 < left <= 3_660_000
    mine.change(reserved=-1)
    await one.claim([], [mine])
    assert await look.run(("HGETALL", f"{key}:held")) in ([], {})


async def test_reservations_of_a_crashed_router_end(boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, _ = boards
    await one.claim([], [page(spent=1, reserved=5)])
    assert await others(other) == [(1, 5)]
    monkeypatch.setattr(redis_budgets, "LEASE", -1.0)
    assert await others(other) == [(1, 0)]


async def test_any_name_makes_a_key(boards: Boards) -> None:
    one, other, _ = boards
    await one.claim([], [page("\ud800 {} \n é", spent=1)])
    assert await others(other, "\ud800 {} \n é") == [(1, 0)]


class Held:
    """Holds requests back until they may go: between a board and its link."""

    def __init__(self, board: RedisBudgets, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        self.sent = 0
        self._run = board._link.run
        monkeypatch.setattr(board._link, "run", self.run)

    async def run(self, command: Command) -> object:
        """Sends it, later."""
        self.sent += 1
        await self.gate.wait()
        return await self._run(command)


@pytest.mark.parametrize("when", ["asked", "waiting", "answered"])
async def test_a_claim_that_is_cancelled_leaves_nothing_reserved(
    boards: Boards, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, _ = boards
    held, mine = Held(one, monkeypatch), page()
    tasks = [asyncio.create_task(claim(one, mine, 3)) for _ in range(2)]
    await eventually(lambda: held.sent == 1, "the first is asked")
    late = asyncio.create_task(claim(one, mine, 3))
    await asyncio.sleep(0)
    if when == "answered":
        answer = one._answer

        def cancelled_at_once(asked: Any, verdict: int | None) -> None:
            answer(asked, verdict)
            for task in (*tasks, late):
                task.cancel()

        monkeypatch.setattr(one, "_answer", cancelled_at_once)
    else:
        for task in tasks if when == "asked" else (late,):
            task.cancel()
    held.gate.set()
    ends = await asyncio.gather(*tasks, late, return_exceptions=True)
    granted = sum(end is True for end in ends)
    assert granted == {"asked": 1, "waiting": 2, "answered": 0}[when]
    await eventually(lambda: not one.waiting and one._sender is not None and one._sender.done(), "all is told")
    assert mine.reserved == 3 * granted
    assert await others(other) == [(0, 3 * granted)]


async def test_a_refusal_that_nobody_hears_changes_nothing(boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, _ = boards
    held, mine = Held(one, monkeypatch), page()
    task = asyncio.create_task(claim(one, mine, 30))
    await eventually(lambda: held.sent == 1, "it is asked")
    task.cancel()
    held.gate.set()
    await asyncio.gather(task, return_exceptions=True)
    await eventually(lambda: one._sender is not None and one._sender.done(), "it is answered")
    assert mine.reserved == 0
    assert await others(other) == [(0, 0)]


async def test_a_claim_overtaken_by_newer_news_is_asked_again(boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, _ = boards
    held, mine = Held(one, monkeypatch), page()
    task = asyncio.create_task(claim(one, mine, 3))
    await eventually(lambda: held.sent == 1, "it is asked")
    mine.change(spent=4)
    await one.recover(one._link.run_all)  # nothing waits
    one._keep([mine])
    await one.recover(one._link.run_all)
    held.gate.set()
    assert await task
    assert held.sent == 2
    assert await others(other) == [(4, 3)]


async def test_a_claim_that_is_always_overtaken_is_for_memory_to_decide(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, _ = boards
    mine = page()
    run = one._link.run

    async def overtaken(command: Command) -> object:
        mine.change(spent=1)
        one._keep([mine])
        await one.recover(one._link.run_all)
        return await run(command)

    monkeypatch.setattr(one._link, "run", overtaken)
    assert await one.claim([Want(mine, 3, 10)], []) is None
    assert mine.reserved == 0


def link_to(server: Server) -> RedisLink:
    return RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=20)


async def test_what_is_told_in_an_outage_is_sent_when_it_is_over(frail: Server) -> None:
    links = [link_to(frail) for _ in range(2)]
    one, other = RedisBudgets(links[0], max_waiting=150), RedisBudgets(links[1])
    mine = page(spent=1)
    await one.claim([], [mine])
    frail.kill()
    assert await one.claim([Want(mine, 1, 10)], []) is None
    assert await one.claim([Want(mine, 1, 10)], []) is None
    for number in range(200):
        one.tell(page(f"u{number}", spent=5))
    mine.change(spent=6)
    one.tell(mine)
    assert (one.waiting, links[0].stats.dropped) == (150, 52)
    frail.start()
    await eventually(lambda: one.waiting == 0 and not links[0].down, "it has caught up")
    assert await others(other, "ann", "u199", "u0") == [(7, 0), (5, 0), (0, 0)]
    for link in links:
        await link.aclose()


async def test_a_redis_that_has_forgotten_all_is_told_again_with_the_next_claim(frail: Server) -> None:
    links = [link_to(frail) for _ in range(2)]
    one, other = (RedisBudgets(link) for link in links)
    mine = page(spent=5, reserved=2)
    await one.claim([], [mine])
    with frail.client() as client:
        client.flushall()
    assert await claim(one, mine, 1)
    assert await others(other) == [(5, 3)]
    for link in links:
        await link.aclose()


async def test_what_a_recovery_could_not_send_waits_on_and_what_was_refused_is_counted(frail: Server) -> None:
    link = link_to(frail)
    board = RedisBudgets(link)
    board._keep([page(spent=1)])

    async def gone(commands: Sequence[Command]) -> list[object]:
        raise OutageError

    async def refused(commands: Sequence[Command]) -> list[object]:
        return [ResponseError("no")]

    with pytest.raises(OutageError):
        await board.recover(gone)
    assert board.waiting == 1
    await board.recover(refused)
    assert (board.waiting, link.stats.dropped) == (0, 1)
    await link.aclose()


def test_without_an_event_loop_it_waits_for_the_next_claim(frail: Server) -> None:
    link = link_to(frail)
    board = RedisBudgets(link)
    board.tell(page(spent=5))
    assert board.waiting == 1

    async def later() -> None:
        board.tell(page("bob", spent=6))
        assert await others(board, "ann", "bob") == [(5, 0), (6, 0)]
        await link.aclose()

    asyncio.run(later())


def test_loops_in_other_threads_share_a_board(frail: Server) -> None:
    link = link_to(frail)
    board, mine = RedisBudgets(link), page()
    granted: list[bool] = []

    async def burst() -> None:
        found = await asyncio.gather(*(board.claim([Want(mine, 1, 60)], []) for _ in range(30)))
        granted.extend(each == -1 for each in found)
        await link.aclose()

    threads = [Thread(target=lambda: asyncio.run(burst())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < sum(granted) <= 60
    assert mine.reserved == sum(granted)


def test_an_answer_for_a_loop_that_has_ended_is_given_back(frail: Server) -> None:
    link = link_to(frail)
    board, mine = RedisBudgets(link), page()

    async def ask() -> None:
        board._sender = None
        asked = redis_budgets._Claim([Want(mine, 3, 10)], [])
        board._asked.append(asked)

    async def send() -> None:
        board._send_soon()
        await eventually(lambda: not board.waiting and mine.told()[0] > 2, "it is given back")
        await link.aclose()

    asyncio.run(ask())
    asyncio.run(send())
    assert mine.reserved == 0


async def test_a_claim_that_nobody_sends_is_for_memory_to_decide(
    frail: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{frail.port}"), timeout=0.001)
    board = RedisBudgets(link)
    monkeypatch.setattr(board, "_send_soon", lambda: None)
    assert await board.claim([Want(page(), 3, 10)], []) is None
    await link.aclose()
