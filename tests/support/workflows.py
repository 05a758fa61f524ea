"""The jobs of a rendered project's CI, run here as its runner would."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

# Actions that only bring what a test has already: the checkout, and a tool.
BRINGS_WHAT_IS_HERE = re.compile(r"^(actions/checkout|astral-sh/setup-uv)@")


def github_workflow(project: Path, name: str) -> dict[str, Any]:
    """A workflow of a project, by its file's name."""
    # YAML takes a bare `on` for a truth.
    text = re.sub("^on:", "'on':", (project / ".github/workflows" / name).read_text(), flags=re.MULTILINE)
    workflow: dict[str, Any] = yaml.safe_load(text)
    return workflow


def gitlab_job(project: Path, name: str) -> dict[str, Any]:
    """A job of a project's GitLab pipeline, with what its own file and those that it includes say."""
    pipeline: dict[str, Any] = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    included_files = pipeline.get("include", [])
    for included in [included_files] if isinstance(included_files, str) else included_files:
        pipeline |= yaml.safe_load((project / included.lstrip("/")).read_text())
    job: dict[str, Any] = pipeline[name]
    return job


class Runner:
    """Runs the scripts of jobs in a project's folder."""

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        expressions: Mapping[str, str],
        command: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """Take what the runner's machine has, and what the repository's settings say.

        Args:
            project: the folder that is checked out.
            environment: the machine's own variables.
            expressions: what stands for `${{ … }}`: {"secrets.TOKEN": "…"}.
            command: wraps a command so that it runs on the machine that the job is for.
        """
        self.project = project
        self.environment = dict(environment)
        self.expressions = expressions
        self.command = command

    def value(self, text: object) -> str:
        """A text of the workflow with its expressions evaluated.

        Raises:
            KeyError: one is not known here.
        """
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda match: self.expressions[match[1]], str(text))

    def variables(self, *parts: Mapping[str, Any]) -> dict[str, str]:
        """The variables that the `env` of a workflow, a job and a step add up to."""
        return {name: self.value(value) for part in parts for name, value in part.get("env", {}).items()}

    def github(self, workflow: Mapping[str, Any], job_name: str) -> tuple[int, str]:
        """Run the steps of a job until one fails; gives the last exit code and all that they printed.

        Raises:
            AssertionError: a step is of a kind that is not known here.
        """
        job, printed = workflow["jobs"][job_name], ""
        for step in job["steps"]:
            if "uses" in step:
                assert BRINGS_WHAT_IS_HERE.match(step["uses"]), f"{step['uses']} does more than bring what is here"
                continue
            assert not step.keys() - {"name", "run", "env"}, f"a step of {job_name} has more than is known here: {step}"
            code, said = self.script(self.value(step["run"]), self.variables(workflow, job, step))
            printed += said
            if code:
                return code, printed
        return 0, printed

    def gitlab(self, job: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[int, str]:
        """Run the lines of a job until one fails; gives its exit code and all that was printed.

        Args:
            job: what the pipeline says of it.
            variables: those of the project's settings.
        """
        lines = [*job.get("before_script", []), *job["script"]]
        own = {name: str(value) for name, value in job.get("variables", {}).items()}
        return self.script("\n".join(lines), {**own, **variables})

    def script(self, text: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Run a script as both runners do, by bash, ending at its first failure."""
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
