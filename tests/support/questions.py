"""The questions of copier.yml, and what is answered to them."""


# Names in any script, and such as look like addresses and paths.

from pathlib import Path
from typing import Any

import copier

from tests.support.rendering import ANSWERS, ROOT, read_questions

QUESTIONS = {name: question for name, question in read_questions(ROOT).items() if not name.startswith("_")}
ASKED = {name: question for name, question in QUESTIONS.items() if question.get("when") is not False}
CHOSEN = [name for name, question in ASKED.items() if "choices" in question]
TYPED = [name for name in ASKED if name not in CHOSEN]


def question_id(value: object) -> str:
    """An answer in a test's id, in letters that every log can hold."""
    return ascii(value)[1:-1] if len(ascii(value)) < 40 else f"{ascii(value)[1:20]} {len(str(value))}"


def answers_of(questions: Path, **data: Any) -> dict[str, Any]:
    """What the questions make of `data`."""
    asked = copier.run_copy(str(questions), questions / "nowhere", {**ANSWERS, **data}, defaults=True, quiet=True)
    return dict(asked.answers.user)
