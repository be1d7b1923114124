"""Who should serve a call: load-balancing strategies. Part of homing-router."""

from strategies.adaptive import Adaptive
from strategies.base import Candidate, Candidates, Strategy
from strategies.latency import Latency
from strategies.least_busy import LeastBusy
from strategies.shuffle import SimpleShuffle
from strategies.weighted import Weighted

__all__ = ["Adaptive", "Candidate", "Candidates", "Latency", "LeastBusy", "SimpleShuffle", "Strategy", "Weighted"]
