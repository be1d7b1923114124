"""Health checks: whether deployments are well, found out before a call finds it out."""

from router.probing.probe import Probe
from router.probing.prober import Prober

__all__ = ["Probe", "Prober"]
