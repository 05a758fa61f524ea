"""Scales dynos if Redis, the broker, has room for their connections: Heroku's smallest takes 20.

    uv run python deploy/heroku_scale.py worker=2

The app is that of the git remote `heroku`, or of HEROKU_APP.

Exit codes: 0, scaled; 1, not scaled, and the last line says why.
"""

import ast
import os
import re
import sys

from heroku_app import DeployError, Heroku

# Connections that a dyno keeps to the broker: docs/deploy.md, Scale.
CONNECTIONS = {"web": 4, "worker": 6, "beat": 2}
# Those of the dyno that looks, which are gone afterwards.
OWN = 2
LOOK = (
    "from config.celery import app; "
    "clients = app.connection_for_read().channel().client.info('clients'); "
    "print([clients['connected_clients'], int(clients['maxclients'])])"
)


def main() -> int:
    """Scale, and return the exit code."""
    pairs = (re.fullmatch(r"(\w+)=(\d+)", each) for each in sys.argv[1:])
    wanted = {found[1]: int(found[2]) for found in pairs if found}
    if not wanted or len(wanted) != len(sys.argv) - 1:
        print("FAILED: say which dynos and how many: uv run python deploy/heroku_scale.py worker=2", file=sys.stderr)
        return 1
    try:
        scale(Heroku(os.environ.get("HEROKU_APP")), wanted)
    except DeployError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def scale(heroku: Heroku, wanted: dict[str, int]) -> None:
    """Set how many dynos there are.

    Raises:
        DeployError: the broker would refuse some of their connections, or does not answer; nothing was scaled.
    """
    # One line: release=0:Basic web=1:Basic worker=1:Basic
    pairs = [pair.partition("=") for pair in heroku.ask("ps:scale").split()]
    running = {kind: int(its.partition(":")[0]) for kind, _, its in pairs}
    said = heroku.ask("run", "--exit-code", "--no-tty", "--", "python", "-c", LOOK)
    taken, most = ast.literal_eval(said.strip().splitlines()[-1])
    after = connections({**running, **wanted})
    # More than the dynos keep may be there: tasks that ask for tasks, or programs of yours.
    after = max(after, taken - OWN + after - connections(running))
    if after > most:
        raise DeployError(
            f"the broker takes {most} connections, and these dynos would need {after}. Nothing was scaled. Raise"
            " CELERY_CONCURRENCY in place of dynos, or take a larger plan: heroku addons:plans heroku-redis"
        )
    heroku.scale(wanted)
    print(f"scaled; {after} of the broker's {most} connections are needed")


def connections(dynos: dict[str, int]) -> int:
    """Return the connections to the broker that dynos keep, by their kinds and numbers."""
    return sum(CONNECTIONS.get(kind, 0) * number for kind, number in dynos.items())


if __name__ == "__main__":
    sys.exit(main())
