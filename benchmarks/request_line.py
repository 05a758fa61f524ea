"""Measure what the request ID and the request's log line cost, in microseconds per request.

`python -m benchmarks.request_line` renders a project, installs it, and runs MEASURE in it. It calls the same
empty view with and without the middleware, alternately and in one process, and counts processor time, so that other load on
the machine changes little. It prints the difference of the fastest rounds and of the medians. Not a part of `make benchmark`:
tests/repository/test_costs.py measures it each night.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.environments import Environments
from tests.support.rendering import render, template_copy

# In the project's own environment: prints the seconds of a request for each round, both ways.
MEASURE = """
import io, json, logging.config, os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
django.setup()
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.test.client import RequestFactory
from django.urls import path
from operations import logs

configuration = logs.configuration(level="INFO", request_level="INFO", formatter="json")
configuration["handlers"]["stdout"]["stream"] = open(os.devnull, "w")
logging.config.dictConfig(configuration)

urlpatterns = [path("", lambda request: HttpResponse("."))]
sys.modules["bare"] = type(sys)("bare")
sys.modules["bare"].urlpatterns = urlpatterns

def handler(middleware):
    with override_settings(MIDDLEWARE=middleware, ROOT_URLCONF="bare"):
        return WSGIHandler()

settings.ROOT_URLCONF = "bare"
both = {"with": handler(["operations.requests.RequestMiddleware"]), "without": handler([])}
environ = RequestFactory(HTTP_X_REQUEST_ID="from-the-proxy").get("/").environ
seconds = {name: [] for name in both}
for _ in range(int(sys.argv[1])):
    for name, serve in both.items():
        started = time.process_time()
        for _ in range(100):
            serve(dict(environ, **{"wsgi.input": io.BytesIO()}), lambda *args: None).close()
        seconds[name].append((time.process_time() - started) / 100)
print(json.dumps(seconds))
"""


def measured(python: Path, project: Path, rounds: int = 100) -> dict[str, float]:
    """Return the cost in microseconds: `fastest` and `median` of `rounds` rounds of 100 requests each way.

    `ratio` is the fastest request's time with the middleware divided by its time without. It does not depend on the machine.

    Args:
        python: the interpreter of the project's environment.
        project: the rendered project.
        rounds: how often to measure.
    """
    done = subprocess.run(
        [python, "-c", MEASURE, str(rounds)], cwd=project, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds = json.loads(done.stdout)
    return {
        "fastest": 1e6 * (min(seconds["with"]) - min(seconds["without"])),
        "ratio": min(seconds["with"]) / min(seconds["without"]),
        "median": 1e6 * (statistics.median(seconds["with"]) - statistics.median(seconds["without"])),
    }


def main() -> None:
    """Render and install a project, measure in it, and print the result."""
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as scratch:
        project = render(template_copy(Path(scratch)), Path(scratch, "project"))
        python = Environments(Path(scratch)).install(project) / "python"
        cost = measured(python, project)
    sys.stdout.write(
        "request id and line: {fastest:.0f} µs a request (fastest), {median:.0f} (median), {ratio:.2f} times a bare one\n".format_map(
            cost
        )
    )


if __name__ == "__main__":
    main()
