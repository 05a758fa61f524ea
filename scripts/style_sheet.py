"""Compile the style sheet with which projects with Tailwind start, from the pages of all extras."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import rendering
from tests.support.environments import Environments, project_environment, run

NAME = "assets/compiled/site.css"
COMPILED = rendering.ROOT / "template/{{tailwind}}" / NAME


def main() -> None:
    """Render and install a project with all extras, and compile its style sheet."""
    environments = rendering.ROOT / ".cache/environments"
    environments.mkdir(exist_ok=True, parents=True)
    with TemporaryDirectory() as folder:
        template = rendering.template_copy(Path(folder, "template"))
        project = rendering.render(template, Path(folder, "project"), extras=rendering.question_choices("extras"))
        env = project_environment(Environments(environments).install(project))
        run(["python", "manage.py", "css"], project, env=env)
        shutil.copyfile(project / NAME, COMPILED)
    sys.stdout.write(f"Written: {COMPILED}\n")


if __name__ == "__main__":
    main()
