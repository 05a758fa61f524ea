"""Which tests run each night and not at each change, and where the same promise is tested at each change.

`make test` and .ci/run leave these tests out. `make test ALL=1` runs them too: each night, before a release, and for a
pull request with the label `all tests`. Run directly, pytest leaves nothing out.

A test is here if a change that breaks it alone is rare: it repeats another one with other answers, a larger number or a
second tool, or it follows a page that is not about running a site.
"""

import fnmatch
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from tests.support.rendering import Answers, combination_id, decisions, pairwise_combinations


@dataclass(frozen=True)
class Nightly:
    """Tests that run each night.

    Attributes:
        tests: their IDs below tests/, an fnmatch pattern in which [ stands for itself.
        instead: how the ID of a test begins that tests the same promise at each change; empty if there is none.
        pairs: only those whose combination of answers is not in `each_answer()`.
    """

    tests: str
    instead: str = ""
    pairs: bool = False


@cache
def each_answer() -> frozenset[str]:
    """Return the names of a few pairwise combinations in which each answer occurs."""
    rows = pairwise_combinations()
    missing = {item for row in rows for item in combinations(decisions(row), 1)}
    chosen: list[Answers] = []
    while missing:
        best = max(rows, key=lambda row: len(missing & set(combinations(decisions(row), 1))))
        missing -= set(combinations(decisions(best), 1))
        chosen.append(best)
    return frozenset(map(combination_id, chosen))


NIGHTLY = (
    # Each answer is tested at each change, and each pair of answers each night.
    *(
        Nightly(f"{test}[*", f"{test}[", pairs=True)
        for test in (
            "projects/test_deploy_check.py::test_the_check_is_clean",
            "projects/test_projects.py::test_a_fresh_project_passes_its_own_checks",
            "sites/test_every_platform.py::test_a_platform_is_rendered_and_passes_its_smoke_suite",
            "updates/test_updates.py::test_an_update_without_news_changes_the_version_and_nothing_else",
        )
    ),
    # The same with the other database, or with the other program that does tasks.
    *(
        Nightly(f"{test}[{nightly}]", f"{test}[{each_change}]")
        for test, nightly, each_change in (
            ("platforms/test_docker_compose.py::test_down_and_up_again_keeps_the_data", "sqlite", "postgresql"),
            (
                "platforms/test_docker_image.py::test_every_variant_builds_and_knows_its_settings",
                "sqlite-3.12",
                "postgresql-3.12",
            ),
            (
                "platforms/test_docker_runbook.py::test_a_backup_goes_into_the_bucket_and_comes_back",
                "sqlite",
                "postgresql",
            ),
            ("platforms/test_docker_runbook.py::test_backups_are_whole_or_not_there", "sqlite", "postgresql"),
            (
                "platforms/test_docker_tasks.py::test_the_development_site_has_workers_where_it_is_told_so",
                "celery",
                "database",
            ),
            ("platforms/test_docker_tasks.py::test_the_runbooks_section_about_tasks_is_followed", "database", "celery"),
            ("platforms/test_docker_tasks.py::test_the_smoke_suite_sees_that_tasks_are_done", "database", "celery"),
            (
                "platforms/test_pythonanywhere_tasks.py::test_a_deploy_makes_the_workers_and_starts_them_anew",
                "celery",
                "database",
            ),
            (
                "platforms/test_pythonanywhere_tasks.py::test_a_plan_without_always_on_tasks_is_told_so",
                "celery",
                "database",
            ),
            ("projects/test_first_app.py::test_the_first_app_ends_green", "postgresql", "sqlite"),
            ("sites/test_s3.py::test_what_was_dropped_comes_back_from_the_bucket", "sqlite", "postgresql"),
        )
    ),
    Nightly(
        "platforms/test_docker_runbook.py::test_what_a_database_in_a_file_asks_for_is_followed_too[sqlite]",
        "platforms/test_docker_runbook.py::test_the_runbook_is_followed_from_its_top[postgresql]",
    ),
    Nightly(
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_with_sqlite",
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    # The same on other platforms, or by the other CI.
    Nightly(
        "platforms/test_docker_swarm.py::test_no_visitor_notices_a_release",
        "platforms/test_docker_compose.py::test_replacing_web_loses_no_request",
    ),
    *(
        Nightly(
            f"platforms/{test}",
            "platforms/test_docker_workflows.py::test_github_deploys_what_is_pushed_and_goes_back[github]",
        )
        for test in (
            "test_docker_workflows.py::test_gitlab_deploys_what_is_pushed_unless_the_scanner_refuses[gitlab]",
            "test_gunicorn.py::test_the_workflows_deploy_and_take_back",
            "test_heroku.py::test_the_workflows_deploy_and_take_back",
        )
    ),
    Nightly(
        "projects/test_ci_steps.py::test_a_fresh_project_passes[gitlab]",
        "projects/test_ci_steps.py::test_a_fresh_project_passes[github]",
    ),
    Nightly(
        "updates/test_update_workflow.py::test_a_newer_release_becomes_one_pull_request[gitlab]",
        "updates/test_update_workflow.py::test_a_newer_release_becomes_one_pull_request[github]",
    ),
    *(
        Nightly(
            f"updates/test_updated_projects.py::test_a_switched_project_passes_the_smoke_suite_of_its_new_platform[{switch}]",
            "updates/test_updated_projects.py::test_a_switched_project_passes_the_smoke_suite_of_its_new_platform[heroku-docker]",
        )
        for switch in ("docker-gunicorn", "gunicorn-pythonanywhere", "pythonanywhere-heroku")
    ),
    Nightly(
        "platforms/test_gunicorn_tasks.py::test_the_runbook_leads_to_a_site_whose_tasks_are_done*",
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_heroku.py::test_a_deploy_loses_no_request_in_flight",
        "platforms/test_docker_compose.py::test_stopping_loses_no_request_in_flight",
    ),
    Nightly(
        "platforms/test_heroku_dynos.py::test_a_build_has_what_the_site_needs_and_no_more_or_changes_nothing",
        "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_docker_demo.py::*",
        "repository/test_demo.py::test_the_demonstration_serves_a_fresh_project_and_leaves_it",
    ),
    Nightly(
        "platforms/test_pythonanywhere.py::test_what_dotenv_says_comes_through_unchanged",
        "projects/test_readers.py::test_manage_py_and_the_server_read_dotenv_as_the_page_says",
    ),
    Nightly(
        "updates/test_switches.py::test_any_other_switch_equals_a_fresh_render_and_keeps_edits[extras-*",
        "updates/test_switches.py::test_any_other_switch_equals_a_fresh_render_and_keeps_edits[tasks-",
    ),
    Nightly(
        "repository/test_costs.py::test_the_benchmark_*",
        "repository/test_costs.py::test_the_request_id_and_line_cost_little_beside_a_bare_request",
    ),
    # More of the same.
    Nightly(
        "platforms/test_docker_runbook.py::test_another_major_version_of_postgresql_takes_the_data_along",
        "platforms/test_docker_runbook.py::test_backups_are_whole_or_not_there[postgresql]",
    ),
    Nightly(
        "projects/test_ci_steps.py::test_a_planted_error_is_caught_by_its_step[gitlab-tests]",
        "projects/test_ci_steps.py::test_a_planted_error_is_caught_by_its_step[github-tests]",
    ),
    Nightly(
        "projects/test_ci_steps.py::test_a_planted_error_is_caught_by_its_step[github-coverage]",
        "projects/test_ci_steps.py::test_a_planted_error_is_caught_by_its_step[github-tests]",
    ),
    Nightly(
        "platforms/test_gunicorn.py::test_deploys_in_a_row_lose_no_request[10]",
        "platforms/test_gunicorn.py::test_deploys_in_a_row_lose_no_request[2]",
    ),
    Nightly(
        "platforms/test_heroku_tasks.py::test_workers_rest_only_while_something_is_undone_or_restored[celery]",
        "platforms/test_heroku_tasks.py::test_the_runbook_leads_to_a_site_whose_tasks_are_done[database]",
    ),
    Nightly(
        "repository/test_own_ci.py::test_make_check_catches_what_tests_see",
        "repository/test_own_ci.py::test_make_check_catches[lint]",
    ),
    # Long pages that are not about running a site.
    *(
        Nightly(page)
        for page in (
            "projects/test_polls_tutorial.py::*",
            "projects/test_recipes.py::test_recipes_are_followed*",
            "updates/test_adopting.py::test_the_page_on_adopting_is_followed",
            "updates/test_updating_pages.py::test_the_page_on_switching_is_followed",
        )
    ),
)


def is_nightly(test: str) -> bool:
    """Return True if a test runs each night only.

    Args:
        test: its ID, like `tests/sites/test_mail.py::test_a_test_mail_arrives[docker]`.
    """
    return any(matches(entry, test.removeprefix("tests/")) for entry in NIGHTLY)


def matches(entry: Nightly, test: str) -> bool:
    """Return True if an entry of the table is about a test, given by its ID below tests/."""
    if not fnmatch.fnmatchcase(test, entry.tests.replace("[", "[[]")):
        return False
    return not entry.pairs or test.partition("[")[2].removesuffix("]") not in each_answer()
