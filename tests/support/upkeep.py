"""How far a test follows a runbook."""

import pytest

# Sections about changing a live site and caring for it. Without them, a runbook leads to a live site, to a rollback, and
# to a backup that is restored.
UPKEEP = (
    "Rotate the secret key",
    "Environment variables",
    "Custom domain and HTTPS",
    "Email",
    "Scheduled jobs",
    "Scale",
    "Maintenance mode",
    "Deploy from CI",
)
# A test with this parameter follows a runbook without upkeep at each change, and to its end each night.
HOW_FAR = pytest.mark.parametrize("upkeep", [False, True], ids=["without upkeep", "to its end"])
