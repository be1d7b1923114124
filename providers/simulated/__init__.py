"""Simulated deployments: real HTTP servers on loopback that speak the Responses API, for trials and tests."""

from providers.simulated.behaviour import FAULTS, MEANINGS, Behaviour, Fault
from providers.simulated.ledger import Record
from providers.simulated.state import State
from providers.simulated.upstream import SimulatedUpstream

__all__ = ["FAULTS", "MEANINGS", "Behaviour", "Fault", "Record", "SimulatedUpstream", "State"]
