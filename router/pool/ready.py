"""The ready set of one tier: who may be used now, by calls in flight."""

from __future__ import annotations

from router.pool.member import Kind, Member
from strategies.base import Candidates

_JOURNAL = 512


class Ready(Candidates[Member]):
    """The members of one tier that may be used now. Joining, leaving, rising and falling cost O(1)."""

    __slots__ = ("_journal", "_kinds", "_levels", "_lowest")

    def __init__(self) -> None:
        super().__init__()
        self.uniform = True
        self._journal: list[Member] = []
        self._kinds: dict[Kind, int] = {}
        self._levels: list[list[Member]] = [[]]
        self._lowest = 0

    def __contains__(self, member: object, /) -> bool:
        return isinstance(member, Member) and member.ready is self

    def idlest(self) -> list[Member]:
        """Those with the fewest calls in flight."""
        return self._levels[self._lowest]

    def changed(self, since: int) -> list[Member] | None:
        """Who joined, left or changed after version `since`."""
        count = self.version - since
        if count > len(self._journal):
            return None
        return self._journal[len(self._journal) - count :]

    def reset(self) -> None:
        """Let everybody leave, and who ever looks again start anew."""
        for member in list(self):
            self.leave(member)
        self._journal.clear()
        self._levels = [[]]
        self.version += 1

    def join(self, member: Member) -> None:
        """Let a member in that is not."""
        member.ready = self
        member.slot = len(self)
        self.append(member)
        lowest = self._lowest
        self._enter_level(member)
        self._lowest = min(lowest, member.in_flight) if member.slot else member.in_flight
        self._count(member)
        self._note(member)

    def leave(self, member: Member) -> None:
        """Let a member out that is in."""
        last = self.pop()
        if last is not member:
            self[member.slot] = last
            last.slot = member.slot
        member.ready = None
        self._leave_level(member, member.in_flight)
        if not self:
            self._lowest = 0
        while self and not self._levels[self._lowest]:
            self._lowest += 1
        self._discount(member)
        self._note(member)

    def reweigh(self, member: Member, weight: float) -> None:
        """Give a member that is in another weight; its rate limits may have changed as well."""
        self._discount(member)
        member.weight = weight
        self._count(member)
        self._note(member)

    def rose(self, member: Member) -> None:
        """A member's calls in flight have just gone up by one."""
        levels, count = self._levels, member.in_flight
        level, slot = levels[count - 1], member.level_slot
        last = level.pop()
        if last is not member:
            level[slot] = last
            last.level_slot = slot
        elif not level and self._lowest == count - 1:
            self._lowest = count
        if count == len(levels):
            member.level_slot = 0
            levels.append([member])
        else:
            above = levels[count]
            member.level_slot = len(above)
            above.append(member)

    def fell(self, member: Member) -> None:
        """A member's calls in flight have just gone down by one."""
        levels, count = self._levels, member.in_flight
        level, slot = levels[count + 1], member.level_slot
        last = level.pop()
        if last is not member:
            level[slot] = last
            last.level_slot = slot
        below = levels[count]
        member.level_slot = len(below)
        below.append(member)
        if count < self._lowest:
            self._lowest = count

    def _enter_level(self, member: Member) -> None:
        levels = self._levels
        while len(levels) <= member.in_flight:
            levels.append([])
        level = levels[member.in_flight]
        member.level_slot = len(level)
        level.append(member)

    def _leave_level(self, member: Member, count: int) -> None:
        level, slot = self._levels[count], member.level_slot
        last = level.pop()
        if last is not member:
            level[slot] = last
            last.level_slot = slot

    def _count(self, member: Member) -> None:
        kind = (member.weight, None, None) if member.weighted else (member.weight, member.rpm, member.tpm)
        member.kind = kind
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        self.uniform = len(self._kinds) < 2

    def _discount(self, member: Member) -> None:
        left = self._kinds[member.kind] - 1
        if left:
            self._kinds[member.kind] = left
        else:
            del self._kinds[member.kind]
        self.uniform = len(self._kinds) < 2

    def _note(self, member: Member) -> None:
        self.version += 1
        journal = self._journal
        journal.append(member)
        if len(journal) > _JOURNAL:
            del journal[: _JOURNAL // 2]
