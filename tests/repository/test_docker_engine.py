"""The Docker engine that scripts/docker-engine starts does not disturb the tests that share it."""

from pathlib import Path

from tests.support.containers import Engine
from tests.support.rendering import question_choices

LOWEST = "02:00:00:00:00:01"


def test_containers_that_come_and_go_leave_the_bridges_address(engine: Engine) -> None:
    """Otherwise a bridge has the lowest address of its containers, and others cannot reach this machine for seconds."""
    name = engine.inspect("bridge")[0]["Options"]["com.docker.network.bridge.name"]
    if not name.startswith("copier-django"):
        # The machine's own engine, which the script uses as it is.
        return
    address = Path("/sys/class/net", name, "address")
    before = address.read_text()
    (image, *_) = (f"python:{version}-slim-trixie" for version in question_choices("python_version"))
    container = engine.docker(
        "run", "--detach", "--label", engine.label(), "--mac-address", LOWEST, image, "sleep", "60"
    ).strip()
    try:
        assert engine.inspect(container)[0]["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == LOWEST
        assert address.read_text() == before
    finally:
        engine.docker("rm", "--force", container)
