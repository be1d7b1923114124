"""The page that shows the fleet, and what it is told."""
