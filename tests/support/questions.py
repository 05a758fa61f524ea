"""Answer the questions of copier.yml."""


# Names in several scripts, and names that look like URLs and paths.

from pathlib import Path
from typing import Any

import copier

from tests.support.rendering import ANSWERS, ROOT, read_questions

QUESTIONS = {name: question for name, question in read_questions(ROOT).items() if not name.startswith("_")}
ASKED = {name: question for name, question in QUESTIONS.items() if question.get("when") is not False}
CHOSEN = [name for name, question in ASKED.items() if "choices" in question]
TYPED = [name for name in ASKED if name not in CHOSEN]


def question_id(value: object) -> str:
    """Return an answer for a test's id, in ASCII, which every log can show."""
    return ascii(value)[1:-1] if len(ascii(value)) < 40 else f"{ascii(value)[1:20]} {len(str(value))}"


def answers_of(questions: Path, **data: Any) -> dict[str, Any]:
    """Return all answers, computed ones included, for `data`."""
    asked = copier.run_copy(str(questions), questions / "nowhere", {**ANSWERS, **data}, defaults=True, quiet=True)
    return dict(asked.answers.user)
