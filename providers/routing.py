"""Who served a call, and how it got there: what answers carry beside their JSON."""

from __future__ import annotations

import msgspec

from providers.errors import Attempt
from providers.types import Affinity
from providers.usage import Bill, Cost


class Routing(msgspec.Struct, frozen=True):  # made for each call, so not a dataclass, as `Attempt`
    """Who served a call, and how it got there."""

    deployment_id: str
    model_group: str
    """The group that served; differs from the one asked for after a fallback."""
    provider: str
    attempts: tuple[Attempt, ...]
    """Everything that was tried, the one that served last."""
    fallbacks: int
    """How many other groups were turned to."""
    started: float
    """Unix time at which the call began, seconds."""
    first_output: float | None
    """Seconds to the first output of a stream; None if not streamed."""
    duration: float
    """Seconds to the reply (streams: to the first output)."""
    affinity: Affinity | None = None
    """How the call found its conversation's home; None if it continued nothing that is remembered."""
    dropped: tuple[str, ...] = ()
    """Parameters that the deployment was not sent, each with the reason; see `drop_params`."""
    call_id: str = ""
    """The call's own id, which its record has too."""
    bill: Bill | None = None
    """What `cost` is worked out from."""

    @property
    def cost(self) -> float | None:
        """What the call cost, in US dollars; of a stream, once it has ended.

        None if that is not known, never 0: `cost_breakdown.reason` says why. Worked out when it is first asked for.
        """
        return None if self.bill is None else self.bill.cost.total

    @property
    def cost_breakdown(self) -> Cost | None:
        """The parts of the cost; None where there is nothing to pay for, and for a stream that has not ended."""
        return None if self.bill is None else self.bill.cost
