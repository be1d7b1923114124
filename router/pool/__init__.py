"""What is known of each deployment now: in flight, healthy, fast, within its limits; and who is leased next."""

from router.pool.breaker import Evidence
from router.pool.budget import RetryBudget
from router.pool.checked import HealthCheck, Kind
from router.pool.choice import Wish
from router.pool.inspections import Inspection
from router.pool.lease import Lease, Shortage
from router.pool.pool import Pool
from router.pool.report import DeploymentHealth
from router.pool.settings import HealthSettings
from router.pool.survey import Prospect, Survey
from router.pool.verdict import Verdict, judge
from router.pool.waiters import Waiter

__all__ = [
    "DeploymentHealth",
    "Evidence",
    "HealthCheck",
    "HealthSettings",
    "Inspection",
    "Kind",
    "Lease",
    "Pool",
    "Prospect",
    "RetryBudget",
    "Shortage",
    "Survey",
    "Verdict",
    "Waiter",
    "Wish",
    "judge",
]
