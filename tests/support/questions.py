"""Answer the questions of copier.yml."""

from pathlib import Path
from typing import Any

import copier

from tests.support.rendering import ANSWERS, ROOT, read_questions

QUESTIONS = {name: question for name, question in read_questions(ROOT).items() if not name.startswith("_")}
ASKED = {name: question for name, question in QUESTIONS.items() if question.get("when") is not False}
CHOSEN = [name for name, question in ASKED.items() if "choices" in question]
TYPED = [name for name in ASKED if name not in CHOSEN]

# Each refusal by a question's validator: an answer, and what a terminal of 80 columns shows of the message.
SHOWN = {
    "project_name": {
        "": "enter a name, like Todo List",
        "Todo\u202eList": "hidden character: use Todo List",
        "Todo ": "space at an end: use Todo List",
        "x" * 101: "over 100 characters: use Todo List",
    },
    "project_slug": {
        "Todo_List": "not a-z, 0-9 or -: use todo-list",
        "2do": "a letter first: use todo-list",
        "todo--list": "misplaced dash: use todo-list",
        "x" * 31: "over 30 characters: use todo-list",
        "docker": "taken: use docker-site",
        "jsonschema-specifications": "taken: use jsonschema-specifi-site",
        "pg-stats": "taken: use site-pg-stats",
    },
    "domain": {
        "https://example.com": "not a host name: use www.example.com",
        "a." * 117 + "de": "over 235 characters: use www.example.com",
    },
    "heroku_app": {
        "ab": "3 to 30 characters: use todo-list",
        "todo_list": "not a-z, 0-9 or -: use todo-list",
        "2do": "a letter first: use todo-list",
        "todo-": "dash last: use todo-list",
    },
    "pythonanywhere_user": {"me@example.com": "letters, 0-9: use todolist"},
}


def question_id(value: object) -> str:
    """Return an answer for a test's id, in ASCII, which every log can show."""
    return ascii(value)[1:-1] if len(ascii(value)) < 40 else f"{ascii(value)[1:20]} {len(str(value))}"


def answers_of(questions: Path, **data: Any) -> dict[str, Any]:
    """Return all answers, computed ones included, for `data`."""
    asked = copier.run_copy(str(questions), questions / "nowhere", {**ANSWERS, **data}, defaults=True, quiet=True)
    return dict(asked.answers.user)
