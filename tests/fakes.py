"""Stand-ins for what a test must hold in its hand: time."""


class Clock:
    """A clock that stands still until it is told otherwise. Called, it tells the time in seconds."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; time never runs backwards."""
        if seconds < 0:
            raise ValueError(f"a clock can't be turned back, by {seconds}")
        self.now += seconds
