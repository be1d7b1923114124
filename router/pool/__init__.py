"""What is known of each deployment now: in flight, healthy, fast, within its limits; and who is leased next."""

from router.pool.budget import RetryBudget
from router.pool.choice import Wish
from router.pool.lease import Lease, Shortage
from router.pool.pool import Pool
from router.pool.report import DeploymentHealth
from router.pool.settings import HealthSettings
from router.pool.survey import Prospect, Survey
from router.pool.waiters import Waiter

__all__ = [
    "DeploymentHealth",
    "HealthSettings",
    "Lease",
    "Pool",
    "Prospect",
    "RetryBudget",
    "Shortage",
    "Survey",
    "Waiter",
    "Wish",
]
