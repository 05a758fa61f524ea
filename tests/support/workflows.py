"""Run the jobs of a rendered project's CI as a runner does."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

# Actions whose result is already here: the checkout, and uv.
BRINGS_WHAT_IS_HERE = re.compile(r"^(actions/checkout|astral-sh/setup-uv)@")

# The start of lines in which a step's script prints its outputs, since the script may run on another machine.
OUTPUT = "output of this step: "
PRINTS_OUTPUTS = f"""GITHUB_OUTPUT=$(mktemp)
export GITHUB_OUTPUT
trap 'sed "s/^/{OUTPUT}/" "$GITHUB_OUTPUT"; rm "$GITHUB_OUTPUT"' EXIT
"""


def github_workflow(project: Path, name: str) -> dict[str, Any]:
    """Return a workflow of a project by its file's name."""
    # YAML reads a bare `on` as true.
    text = re.sub("^on:", "'on':", (project / ".github/workflows" / name).read_text(), flags=re.MULTILINE)
    workflow: dict[str, Any] = yaml.safe_load(text)
    return workflow


def gitlab_job(project: Path, name: str) -> dict[str, Any]:
    """Return a job of a project's GitLab pipeline, with the defaults of its file and of the included files."""
    own: dict[str, Any] = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    included_files = own.get("include", [])
    job: dict[str, Any] = {}
    for included in [included_files] if isinstance(included_files, str) else included_files:
        job |= yaml.safe_load((project / included.lstrip("/")).read_text()).get(name, {})
    # GitLab merges the keys of a job, and those of the including file win: https://docs.gitlab.com/ci/yaml/includes/
    return {**job, **own.get(name, {})}


class Runner:
    """A runner of jobs in a project's folder."""

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        expressions: Mapping[str, str],
        command: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """Set the runner's environment and the repository's settings.

        Args:
            project: the folder that is checked out.
            environment: the machine's variables.
            expressions: the values of `${{ … }}`, as {"secrets.TOKEN": "…"}.
            command: wraps a command so that it runs on the job's machine.
        """
        self.project = project
        self.environment = dict(environment)
        self.expressions = expressions
        self.command = command

    def value(self, text: object) -> str:
        """Return a text of the workflow with its expressions replaced by their values.

        Raises:
            KeyError: an expression has no value here.
        """
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda match: self.expressions[match[1]], str(text))

    def variables(self, *parts: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables from the `env` of a workflow, a job and a step."""
        return {name: self.value(value) for part in parts for name, value in part.get("env", {}).items()}

    def github(self, workflow: Mapping[str, Any], job_name: str) -> tuple[int, str]:
        """Run the steps of a job until one fails; return the last exit code and all output.

        A step may have the condition that an output of an earlier step is not empty.

        Raises:
            AssertionError: a step is of an unknown kind.
        """
        job, printed = workflow["jobs"][job_name], ""
        outputs: dict[str, str] = {}
        for step in job["steps"]:
            condition = step.get("if", "")
            assert re.fullmatch(r"(steps\.\w+\.outputs\.\w+)?", condition), f"unknown condition: {condition}"
            if condition and not outputs.get(condition):
                continue
            if "uses" in step:
                assert BRINGS_WHAT_IS_HERE.match(step["uses"]), f"{step['uses']} does more than bring what is here"
                continue
            unknown = step.keys() - {"name", "run", "env", "id", "if"}
            assert not unknown, f"a step of {job_name} has more than is known here: {step}"
            text = self.value(step["run"])
            code, said = self.script(
                PRINTS_OUTPUTS + text if "id" in step else text, self.variables(workflow, job, step)
            )
            for line in re.findall(f"^{OUTPUT}(.+)$", said, re.MULTILINE):
                name, value = line.split("=", 1)
                outputs[f"steps.{step['id']}.outputs.{name}"] = value
            printed += said
            if code:
                return code, printed
        return 0, printed

    def gitlab(self, job: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[int, str]:
        """Run the lines of a job until one fails; return its exit code and all output.

        Args:
            job: the job's part of the pipeline.
            variables: the variables of the project's settings.
        """
        lines = [*job.get("before_script", []), *job["script"]]
        own = {name: str(value) for name, value in job.get("variables", {}).items()}
        return self.script("\n".join(lines), {**own, **variables})

    def script(self, text: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Run a script in bash as both kinds of runner do, up to its first failure."""
        done = subprocess.run(
            self.command(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]),
            cwd=self.project,
            env={**self.environment, "CI": "true", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        return done.returncode, done.stdout
