"""Which tests run each night and not at each change, and which test comes nearest to them at each change.

`make test` and .ci/run leave these tests out. `make test ALL=1` runs them too: each night, before a release, and for a
pull request with the label `all tests`. Run directly, pytest leaves nothing out.

A test is here if a change that breaks it alone is rare: it repeats another one with other answers, a larger number or a
second tool, or it follows a page that is not about running a site.
"""

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from tests.support.releases import RELEASES
from tests.support.rendering import (
    Answers,
    combination_id,
    decisions,
    pairwise_combinations,
    question_choices,
    triple_combinations,
)


@dataclass(frozen=True)
class Nightly:
    """Tests that run each night.

    Attributes:
        tests: their IDs below tests/, an fnmatch pattern in which [ stands for itself.
        instead: how the ID of the test begins that comes nearest to them at each change; empty if none does.
        kept: those that run at each change all the same, by what is between their brackets.
    """

    tests: str
    instead: str = ""
    kept: Collection[str] = ()


def chosen(rows: list[Answers], size: int) -> frozenset[str]:
    """Return the names of a few rows in which each `size` decisions occur together that do so in any."""
    missing = {item for row in rows for item in combinations(decisions(row), size)}
    few: list[Answers] = []
    while missing:
        best = max(rows, key=lambda row: len(missing & set(combinations(decisions(row), size))))
        missing -= set(combinations(decisions(best), size))
        few.append(best)
    return frozenset(map(combination_id, few))


@cache
def each_answer() -> frozenset[str]:
    """Return the names of a few pairwise combinations in which each answer occurs."""
    return chosen(pairwise_combinations(), 1)


@cache
def each_answer_of_triples() -> frozenset[str]:
    """Return the names of a few combinations in which each answer occurs, of those that have each triple."""
    return chosen(triple_combinations(), 1)


@cache
def each_pair() -> frozenset[str]:
    """Return the names of combinations in which each pair of answers occurs, of those that have each triple."""
    return chosen(triple_combinations(), 2)


# The combination with all extras, of those that are at each change.
MOST = next(name for name in each_answer() if "+".join(question_choices("extras")) in name)
NEWEST = list(RELEASES)[-1]
# The newest release on each platform, and the oldest on one of them.
PLATFORMS = question_choices("platform")
OLDEST_AND_NEWEST = [f"{NEWEST}-{platform}" for platform in PLATFORMS] + [f"{next(iter(RELEASES))}-{PLATFORMS[0]}"]

NIGHTLY = (
    # Each answer is served at each change, and each pair of answers each night.
    *(
        Nightly(f"{test}[*", f"{test}[", kept=kept)
        for test, kept in (
            ("projects/test_deploy_check.py::test_the_check_is_clean", (MOST,)),
            ("projects/test_projects.py::test_a_fresh_project_passes_its_own_checks", (MOST,)),
            ("sites/test_every_platform.py::test_a_platform_is_rendered_and_passes_its_smoke_suite", each_answer()),
            ("updates/test_updates.py::test_an_update_without_news_changes_the_version_and_nothing_else", (MOST,)),
        )
    ),
    # Each pair of answers is rendered at each change, and each triple each night.
    Nightly(
        "rendering/test_rendering.py::test_every_file_is_whole_and_clean[*",
        "rendering/test_rendering.py::test_every_file_is_whole_and_clean[",
        kept=frozenset(map(combination_id, pairwise_combinations())),
    ),
    *(
        Nightly(f"rendering/test_house.py::{test}[*", f"rendering/test_house.py::{test}[", kept=each_answer())
        for test in (
            "test_a_project_has_no_module_that_nothing_in_it_uses",
            "test_operations_imports_neither_the_owners_apps_nor_their_config",
        )
    ),
    Nightly("rendering/test_environment.py::*[*", "rendering/test_environment.py::", kept=each_pair()),
    Nightly(
        "rendering/test_rendering.py::test_the_picker_shows_what_copier_renders[*",
        "rendering/test_rendering.py::test_the_picker_shows_what_copier_renders[",
        kept=each_answer_of_triples(),
    ),
    # The oldest and the newest release are updated at each change, and each one on each platform each night.
    Nightly(
        "updates/test_updates.py::test_an_update_brings_what_is_new_and_keeps_what_was_edited[*",
        "updates/test_updates.py::test_an_update_brings_what_is_new_and_keeps_what_was_edited[",
        kept=OLDEST_AND_NEWEST,
    ),
    *(
        Nightly(f"updates/{test}[*", f"updates/{test}[", kept=(NEWEST,))
        for test in (
            "test_places_of_owners.py::test_an_update_from_each_release_leaves_what_was_added",
            "test_releases.py::test_no_question_answer_or_file_of_a_release_has_vanished",
        )
    ),
    # A runbook leads to a live site, a rollback and a restored backup at each change, and to its end each night.
    *(
        Nightly(f"platforms/{test}[*to its end]", f"platforms/{test}[")
        for test in (
            "test_docker_runbook.py::test_the_runbook_is_followed_from_its_top",
            "test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
            "test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
            "test_pythonanywhere_runbook.py::test_the_runbook_leads_from_an_empty_account_to_a_live_site",
        )
    ),
    # The same with the other database.
    Nightly(
        "platforms/test_docker_runbook.py::test_what_a_database_in_a_file_asks_for_is_followed_too[sqlite]",
        "platforms/test_docker_runbook.py::test_the_runbook_is_followed_from_its_top[",
    ),
    Nightly(
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_with_sqlite",
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_gunicorn_machine.py::test_a_second_site_is_set_up_by_its_own_runbook_and_leaves_the_first_alone",
        "platforms/test_gunicorn_machine.py::test_nginx_and_certbot_take_a_long_domain_and_its_alias[42]",
    ),
    # A fresh project with Tailwind is compiled, checked and tested at each change.
    Nightly("projects/test_tailwind.py::*", "projects/test_projects.py::test_a_fresh_project_passes_its_own_checks"),
    # One of several faults, values or ways that meet the same lines of code.
    *(
        Nightly(f"{test}[*", f"{test}[{kept[0]}", kept=kept)
        for test, kept in (
            (
                "platforms/test_docker_image.py::test_every_variant_builds_and_knows_its_settings",
                ("postgresql-3.13",),
            ),
            (
                "platforms/test_pythonanywhere_stops.py::test_a_deploy_that_is_stopped_by",
                ("a dirty tree", "no values", "code that does not start"),
            ),
            (
                "projects/test_beside_dotenv.py::test_what_to_type_beside_the_runbooks_dotenv_is_said_and_works",
                ("docker",),
            ),
            (
                "projects/test_ci_steps.py::test_a_planted_error_is_caught_by_its_step",
                ("github-tests", "gitlab-lock"),
            ),
            ("projects/test_ci_steps.py::test_an_error_in_cis_own_files_is_caught_by_its_step", ("github",)),
            ("projects/test_make.py::test_all_that_the_site_needs_runs_in_one_terminal_and_is_reloaded", ("database",)),
            (
                "projects/test_shipped_tests.py::test_the_shipped_tests_bear_it",
                ("another language and every template reads the database and another address for the admin",),
            ),
            (
                "questions/test_copying.py::test_copying_needs_no_trust_no_network_and_no_program_but_git",
                ("docker",),
            ),
            ("questions/test_copying.py::test_a_file_that_was_there_is_not_overwritten", ("README.md", "apps")),
            (
                "questions/test_names.py::test_a_name_is_said_right_wherever_it_appears",
                (
                    *("quotes", "jinja expression", "yaml true", "html", "last backslash", "shell", "percent"),
                    *("right to left", "joined emoji", "100 wide"),
                ),
            ),
            (
                "rendering/test_ci.py::test_gitlabs_pipeline_follows_its_schema",
                ("postgresql-heroku", "postgresql-pythonanywhere", "sqlite-docker", "postgresql-gunicorn"),
            ),
            (
                "rendering/test_rendering.py::test_the_project_is_the_same_on_every_platform",
                ("none-sqlite-3.12", "celery-postgresql-3.14"),
            ),
            (
                "rendering/test_shells.py::test_the_compose_files_follow_the_specification",
                ("postgresql-none", "sqlite-database", "postgresql-celery"),
            ),
            ("repository/test_broken_off.py::test_nothing_is_left", ("SIGINT-130-True",)),
            (
                "repository/test_left_out.py::test_what_cannot_run_is_said_or_fails",
                ("by a fixture-true-1-test_in_a_browser cannot run here, and CI is set: no Chromium",),
            ),
            ("repository/test_own_ci.py::test_make_check_catches", ("lint",)),
            ("sites/test_cache.py::test_without_redis_logins_and_their_limits_go_on", ("down",)),
            ("sites/test_limits.py::test_a_body_over_the_limit_is_refused_before_it_is_read", ("heroku",)),
            (
                "sites/test_login_limits.py::test_an_accounts_wrong_passwords_are_counted_wherever_they_come_from",
                ("tcp",),
            ),
            ("sites/test_login_limits.py::test_an_addresss_wrong_passwords_are_counted_whatever_it_forges", ("tcp",)),
            ("sites/test_login_limits.py::test_no_spelling_of_the_host_passes_an_accounts_limit", ("unix",)),
            (
                "sites/test_smoke_knows_the_site.py::test_a_check_that_the_site_has_left_behind_names_the_key_that_mends_it",
                ("login required",),
            ),
            ("sites/test_workers.py::test_a_deploy_ends_a_worker_and_loses_no_task", ("celery",)),
            ("sites/test_workers.py::test_a_task_that_takes_too_long_is_ended_and_the_others_go_on", ("database",)),
            (
                "sites/test_workers.py::test_a_worker_that_is_told_to_end_waits_for_its_tasks_and_no_longer",
                ("database",),
            ),
            ("sites/test_workers.py::test_no_task_of_1000_is_lost_when_its_worker_is_killed_twice", ("database",)),
            ("sites/test_workers.py::test_urgent_tasks_are_done_first", ("database",)),
            ("updates/test_conflicts.py::test_ci_fails_on_a_conflict", ("github",)),
            ("updates/test_conflicts.py::test_lint_names_a_conflict", ("config/settings/base.py",)),
        )
    ),
    # One by one; several at a time stay.
    Nightly(
        "sites/test_smoke_finds_faults.py::test_a_check_fails_where_the_site_does_and_the_others_pass*",
        "sites/test_smoke_finds_faults.py::test_faults_of_several_checks_are_all_found[",
    ),
    # Faults of a machine or a service, and the second half of a recovery.
    *(
        Nightly(tests, instead)
        for instead, faults in (
            (
                "platforms/test_docker_runbook.py::test_the_runbook_is_followed_from_its_top[",
                (
                    "platforms/test_docker_compose.py::test_a_second_folder_on_the_machine_is_a_site_of_its_own_or_refused",
                    "platforms/test_docker_compose.py::test_down_and_up_again_keeps_the_data*",
                    "platforms/test_docker_compose.py::test_make_starts_and_stops_it",
                    "platforms/test_docker_runbook.py::test_what_is_broken_off_or_cannot_work_goes_back[*",
                ),
            ),
            (
                "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
                (
                    "platforms/test_gunicorn.py::test_a_deploy_that_breaks_at_any_step_leaves_the_old_release_serving",
                    "platforms/test_gunicorn.py::test_going_back_builds_and_migrates_nothing",
                    "platforms/test_gunicorn.py::test_two_deploys_at_once_are_one_and_one_that_is_broken_off_changes_nothing",
                    "platforms/test_gunicorn_machine.py::test_static_files_of_the_release_before_stay_for_pages_that_are_loaded",
                    "platforms/test_gunicorn_machine.py::test_the_machine_comes_back_by_itself",
                ),
            ),
            (
                "platforms/test_pythonanywhere.py::test_a_release_that_is_not_well_gives_way_to_the_one_before",
                (
                    "platforms/test_pythonanywhere_faults.py::test_a_deploy_that_was_killed_is_taken_up_by_the_next",
                    "platforms/test_pythonanywhere_faults.py::test_a_disk_that_refuses_is_told_in_words_and_leaves_the_release_before",
                    "platforms/test_pythonanywhere_faults.py::test_a_postgresql_that_is_too_old_stops_the_first_deploy",
                    "platforms/test_pythonanywhere_faults.py::test_a_deploy_that_the_platform_does_not_know_stops_before_anything_is_migrated",
                    "platforms/test_pythonanywhere_faults.py::test_a_deploy_without_the_package_index_stops",
                    "platforms/test_pythonanywhere_faults.py::test_a_reload_that_is_refused_leaves_the_release_before",
                ),
            ),
            (
                "platforms/test_pythonanywhere_disk.py::test_without_room_nothing_is_made_and_the_release_that_serves_stays",
                ("platforms/test_pythonanywhere_disk.py::test_a_deploy_without_room_says_so_and_changes_nothing",),
            ),
            (
                "platforms/test_pythonanywhere_runbook.py::test_github_deploys_the_commit_that_was_tested",
                (
                    "platforms/test_pythonanywhere_runbook.py::test_gitlab_deploys_any_branch_to_staging_and_says_when_the_check_fails",
                ),
            ),
            (
                "platforms/test_pythonanywhere_runbook.py::test_the_runbook_leads_from_an_empty_account_to_a_live_site",
                (
                    "platforms/test_pythonanywhere.py::test_a_touch_of_the_wsgi_file_brings_the_release_that_the_link_names",
                    "platforms/test_pythonanywhere.py::test_a_web_app_that_is_not_as_it_should_be_is_corrected",
                    "platforms/test_pythonanywhere.py::test_uploads_and_logs_stay_from_release_to_release",
                    "platforms/test_pythonanywhere.py::test_each_step_has_its_number_outcome_and_time",
                    "platforms/test_pythonanywhere.py::test_rollback_returns_to_the_release_before_with_its_variables",
                    "platforms/test_pythonanywhere.py::test_the_releases_that_served_last_are_kept_and_one_that_was_given_up_is_not",
                    "platforms/test_pythonanywhere_tasks.py::*",
                ),
            ),
            (
                "platforms/test_gunicorn_machine.py::test_behind_a_cdn_each_visitor_has_a_limit",
                ("platforms/test_docker_compose.py::test_behind_a_cdn_that_asks_by_https_each_visitor_has_a_limit",),
            ),
            (
                "sites/test_probes.py::test_a_database_that_hangs_or_is_down_shows_in_readiness_alone",
                (
                    "platforms/test_docker_compose.py::test_a_database_that_stops_and_comes_back_takes_nothing_else_along",
                ),
            ),
            (
                "sites/test_s3.py::test_an_upload_is_in_the_bucket_and_read_by_who_has_its_signed_address",
                (
                    "platforms/test_docker_runbook.py::test_a_backup_goes_into_the_bucket_and_comes_back[*",
                    "sites/test_s3.py::test_what_a_row_has_left_behind_in_a_bucket_is_deleted_by_a_list",
                    "sites/test_s3.py::test_what_was_dropped_comes_back_from_the_bucket*",
                ),
            ),
            (
                "sites/test_brokers.py::test_pages_go_on_while_the_broker_is_down_and_no_task_that_was_taken_is_lost",
                (
                    "sites/test_brokers.py::test_a_broker_that_hangs_costs_who_asks_some_seconds_and_nobody_else_any",
                    "sites/test_brokers.py::test_a_task_of_the_next_release_waits_for_its_worker",
                    "sites/test_brokers.py::test_beat_keeps_two_connections_to_the_broker",
                    "sites/test_brokers.py::test_a_broker_that_is_full_takes_no_more_and_is_emptied",
                    "sites/test_brokers.py::test_a_task_that_ends_its_process_each_time_is_given_up_and_shows_nothing",
                    "sites/test_brokers.py::test_a_task_that_is_not_done_when_the_time_to_end_is_over_is_given_back",
                ),
            ),
            (
                "sites/test_cache.py::test_redis_is_used_again",
                ("sites/test_cache.py::test_a_restart_of_redis_is_not_noticed",),
            ),
            (
                "updates/test_adopting.py::test_what_clashes_is_named_and_saved_under_another_name",
                (
                    "updates/test_adopting.py::test_a_project_that_does_not_start_is_told_so",
                    "updates/test_adopting.py::test_a_user_model_of_ones_own_becomes_the_templates",
                    "updates/test_adopting.py::test_accounts_with_other_keys_cannot_come",
                    "updates/test_adopting.py::test_nothing_moves_unless_the_data_is_saved*",
                ),
            ),
        )
        for tests in faults
    ),
    Nightly(
        "updates/test_updated_projects.py::test_an_updated_project_passes_its_tests_and_its_smoke_suite[0.1.0-heroku]",
        "updates/test_updated_projects.py::test_an_updated_project_passes_its_tests_and_its_smoke_suite[",
    ),
    # Commands that other tests run too, one by one.
    Nightly(
        "projects/test_ci_steps.py::test_a_fresh_project_passes[*",
        "projects/test_projects.py::test_a_fresh_project_passes_its_own_checks",
    ),
    Nightly(
        "projects/test_development.py::test_the_lines_of_the_page_on_the_policy_are_good_settings",
        "sites/test_policy_in_a_browser.py::test_what_is_blocked_is_printed_with_the_line_that_allows_it",
    ),
    Nightly(
        "projects/test_first_app.py::test_the_first_app_ends_green[*",
        "projects/test_first_app.py::test_apps_of_any_name_are_clean",
    ),
    Nightly("projects/test_guesses.py::*", "projects/test_database_urls.py::"),
    *(
        Nightly(f"projects/{tests}", f"projects/{instead}")
        for instead, repeating in (
            (
                "test_ordinary_days.py::test_a_model_with_a_file_field",
                (
                    "test_ordinary_days.py::test_a_command_of_another_app_is_gone_on_from*",
                    "test_ordinary_days.py::test_a_view_for_members_a_library_without_types_and_a_test_case",
                    "test_ordinary_days.py::test_the_tests_have_their_own_settings_whatever_the_environment_names*",
                ),
            ),
            (
                "test_rules_for_owners.py::test_an_app_passes_lint_and_types_from_its_first_minute",
                (
                    "test_rules_for_owners.py::test_a_new_app_and_its_migrations_pass_lint",
                    "test_rules_for_owners.py::test_a_field_with_a_default_in_an_app_that_is_not_deployed_is_settled_by_the_command_in_the_message",
                    "test_rules_for_owners.py::test_one_line_makes_the_apps_strict_and_leaves_tests_alone",
                    "test_rules_for_owners.py::test_views_without_tests_are_shown_and_not_red_until_a_team_says_so",
                ),
            ),
            (
                "test_shipped_tests.py::test_the_shipped_tests_bear_it[",
                (
                    "test_development.py::test_the_policy_starts_from_nothing_and_an_owners_edits_of_it_leave_the_shipped_tests_green",
                    "test_shipped_tests.py::test_a_misspelt_static_file_is_found*",
                    "test_shipped_tests.py::test_the_tests_touch_nothing_that_the_environment_names",
                    "test_shipped_tests.py::test_a_sign_up_form_that_asks_for_more_names_what_has_to_follow",
                    "test_shipped_tests.py::test_what_guards_a_page_that_was_replaced_says_whose_it_is*",
                ),
            ),
        )
        for tests in repeating
    ),
    Nightly(
        "projects/test_development.py::test_the_debug_toolbar_is_in_development_alone_and_gone_without_its_package",
        "sites/test_policy_in_a_browser.py::test_the_debug_toolbar_shows_a_pages_queries_and_nothing_of_it_is_blocked",
    ),
    Nightly(
        "projects/test_projects.py::test_what_wants_postgresql_is_left_out_without_it",
        "projects/test_projects.py::test_a_fresh_project_passes_its_own_checks",
    ),
    Nightly(
        "repository/test_own_ci.py::test_make_check_catches_what_tests_see",
        "repository/test_own_ci.py::test_make_check_catches[lint]",
    ),
    # The same on other platforms, or by the other CI.
    Nightly(
        "platforms/test_docker_swarm.py::test_no_visitor_notices_a_release",
        "platforms/test_docker_compose.py::test_replacing_web_loses_no_request",
    ),
    *(
        Nightly(
            f"platforms/{test}",
            "platforms/test_pythonanywhere_runbook.py::test_github_deploys_the_commit_that_was_tested",
        )
        for test in (
            "test_docker_workflows.py::test_github_deploys_what_is_pushed_and_goes_back[github]",
            "test_docker_workflows.py::test_gitlab_deploys_what_is_pushed_unless_the_scanner_refuses[gitlab]",
            "test_gunicorn.py::test_the_workflows_deploy_and_take_back",
            "test_heroku.py::test_the_workflows_deploy_and_take_back",
        )
    ),
    *(
        Nightly(
            f"updates/test_update_workflow.py::{test}*",
            "updates/test_update_workflow.py::test_a_conflict_is_in_the_pull_request_and_fails_its_lint",
        )
        for test in (
            "test_a_newer_release_becomes_one_pull_request",
            "test_without_a_newer_release_nothing_happens",
            "test_without_a_token_it_says_what_to_do",
        )
    ),
    Nightly(
        "updates/test_releases.py::test_a_project_whose_slug_is_reserved_by_now_keeps_it*",
        "questions/test_slugs.py::",
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
    *(
        Nightly(tests, "repository/test_demo.py::test_a_new_clone_needs_no_compiler_and_says_at_once_what_it_does")
        for tests in (
            "platforms/test_docker_demo.py::*",
            "repository/test_demo.py::test_the_demonstration_serves_a_fresh_project_and_leaves_it",
        )
    ),
    Nightly(
        "platforms/test_pythonanywhere.py::test_what_dotenv_says_comes_through_unchanged",
        "projects/test_readers.py::test_manage_py_and_the_server_read_dotenv_as_the_page_says",
    ),
    # Each platform is left and taken at each change, and two other answers are changed.
    Nightly(
        "updates/test_switches.py::test_a_switch_of_platform_changes_the_shell_and_keeps_the_rest[*",
        "updates/test_switches.py::test_a_switch_of_platform_changes_the_shell_and_keeps_the_rest[",
        kept=("heroku-docker", "docker-gunicorn", "gunicorn-pythonanywhere", "pythonanywhere-heroku"),
    ),
    Nightly(
        "updates/test_switches.py::test_any_other_switch_equals_a_fresh_render_and_keeps_edits[*",
        "updates/test_switches.py::test_any_other_switch_equals_a_fresh_render_and_keeps_edits[tasks-",
        kept=("database-postgresql-sqlite", "tasks-database-celery"),
    ),
    Nightly("repository/test_costs.py::test_the_benchmark_*", "repository/test_costs.py::test_a_goal_that_is_missed"),
    Nightly("repository/test_costs.py::test_the_request_id_and_line_cost_little_beside_a_bare_request"),
    # More of the same.
    *(
        Nightly(
            f"updates/test_switches.py::{test}*",
            "updates/test_switches.py::test_a_switch_of_platform_changes_the_shell_and_keeps_the_rest[",
        )
        for test in (
            "test_a_switch_asks_what_the_platform_needs_and_forgets_what_it_does_not",
            "test_who_moves_from_sqlite_to_heroku_is_told_of_the_other_database",
        )
    ),
    Nightly(
        "platforms/test_start_commands.py::*",
        "sites/test_every_platform.py::test_a_platform_is_rendered_and_passes_its_smoke_suite[",
    ),
    Nightly(
        "sites/test_workers.py::test_a_workers_lines_have_the_id_of_the_request_that_asked*",
        "sites/test_logs.py::",
    ),
    Nightly(
        "sites/test_pooler.py::test_workers_lose_no_task_behind_a_pooler",
        "sites/test_pooler.py::test_pages_and_commands_work_beside_each_other_behind_a_pooler",
    ),
    Nightly(
        "sites/test_smoke_knows_the_site.py::test_a_sign_up_that_is_closed_or_cannot_be_filled_in_is_told",
        "sites/test_smoke.py::test_a_sign_up_that_is_closed_is_told_as_such",
    ),
    Nightly(
        "platforms/test_docker_runbook.py::test_another_major_version_of_postgresql_takes_the_data_along",
        "platforms/test_docker_runbook.py::test_the_runbook_is_followed_from_its_top[",
    ),
    Nightly(
        "platforms/test_gunicorn.py::test_deploys_in_a_row_lose_no_request*",
        "platforms/test_gunicorn.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_heroku.py::test_a_release_that_breaks_the_site_is_taken_back",
        "platforms/test_pythonanywhere.py::test_a_release_that_is_not_well_gives_way_to_the_one_before",
    ),
    Nightly(
        "platforms/test_heroku.py::test_a_release_phase_that_fails_leaves_the_old_release_serving",
        "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_heroku.py::test_a_deploy_that_cannot_begin_says_what_to_do",
        "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    # Only a change of packages can break it.
    Nightly("questions/test_slugs.py::test_no_slug_is_the_name_of_a_package_that_a_project_needs"),
    Nightly(
        "platforms/test_heroku_stand_in.py::*",
        "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    Nightly(
        "platforms/test_docker_runbook.py::test_backups_are_whole_or_not_there*",
        "platforms/test_docker_runbook.py::test_the_runbook_is_followed_from_its_top[",
    ),
    *(
        Nightly(f"platforms/{test}", "sites/test_pooler.py::")
        for test in (
            "test_docker_runbook.py::test_a_pooler_is_added_as_the_page_says_and_the_password_changes_behind_it",
            "test_gunicorn_machine.py::test_a_pooler_is_added_as_the_page_says",
        )
    ),
    Nightly(
        "platforms/test_docker_tasks.py::*",
        "sites/test_workers.py::test_a_deploy_ends_a_worker_and_loses_no_task[celery]",
    ),
    Nightly(
        "sites/test_pages_in_a_browser.py::test_what_development_shows_is_without_fault",
        "sites/test_pages_in_a_browser.py::test_all_that_a_visitor_sees_is_without_fault",
    ),
    Nightly(
        "updates/test_updated_projects.py::test_a_release_with_a_migration_reaches_a_project_that_has_data",
        "updates/test_updated_projects.py::test_an_updated_project_passes_its_tests_and_its_smoke_suite[",
    ),
    *(
        Nightly(
            f"platforms/test_heroku_dynos.py::{test}", "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site"
        )
        for test in (
            "test_a_review_app_has_an_account_to_look_round_with",
            "test_honcho_serves_what_git_has_on_a_disk_that_cannot_be_written",
        )
    ),
    # At each change `make docs` builds the pages, where a dead link is an error: .github/workflows/test.yml.
    *(
        Nightly(f"repository/test_documentation.py::{test}*")
        for test in (
            "test_a_link_that_leads_nowhere_is_an_error",
            "test_pages_are_accessible",
            "test_pages_have_what_is_made_from_the_template",
            "test_pages_show_no_markdown",
            "test_lighthouse_finds_nothing",
            "test_search_needs_no_network",
        )
    ),
    Nightly(
        "repository/test_documentation.py::test_the_picker_*",
        "rendering/test_rendering.py::test_the_picker_shows_what_copier_renders[",
    ),
    Nightly(
        "updates/test_updating_pages.py::test_the_page_on_updating_is_followed",
        "updates/test_update_workflow.py::test_a_conflict_is_in_the_pull_request_and_fails_its_lint",
    ),
    Nightly(
        "platforms/test_heroku_tasks.py::*",
        "platforms/test_heroku.py::test_the_runbook_leads_to_a_live_site_and_back",
    ),
    *(
        Nightly(tests, instead)
        for tests, instead in (
            (
                "platforms/test_docker_compose.py::test_caddy_logs_no_key_that_lets_one_into_an_account",
                "platforms/test_gunicorn_machine.py::test_nginx_logs_no_key_that_lets_one_into_an_account",
            ),
            (
                "platforms/test_pythonanywhere.py::test_a_cdn_must_ask_by_https",
                "platforms/test_gunicorn_machine.py::test_a_cdn_must_ask_by_https",
            ),
            (
                "platforms/test_pythonanywhere.py::test_the_smoke_suite_passes_behind_the_platforms_front",
                "platforms/test_pythonanywhere_runbook.py::test_the_runbook_leads_from_an_empty_account",
            ),
            (
                "platforms/test_pythonanywhere_faults.py::test_a_call_too_many_waits_as_long_as_it_is_told",
                "platforms/test_pythonanywhere_stand_in.py::test_the_stand_in_refuses_what_the_platform_refuses",
            ),
            (
                "projects/test_api_tokens.py::*",
                "projects/test_projects.py::test_a_fresh_project_passes_its_own_checks",
            ),
            (
                "projects/test_hooks.py::test_each_hook_stops_its_error[*",
                "projects/test_hooks.py::test_installed_they_stop_a_commit",
            ),
            (
                "questions/test_copying.py::test_a_copy_that_stops_halfway_begins_again_as_the_readme_says",
                "questions/test_copying.py::test_a_file_that_was_there_is_not_overwritten[",
            ),
            (
                "questions/test_names.py::test_a_project_with_a_hostile_name_passes_its_own_tests",
                "questions/test_names.py::test_a_name_is_said_right_wherever_it_appears[",
            ),
            (
                "sites/test_login_limits.py::test_a_wrong_count_of_proxies_is_no_error_and_no_limit_for_all[*",
                "sites/test_login_limits.py::test_without_a_proxy_nothing_that_a_visitor_claims_counts",
            ),
            (
                "sites/test_login_limits.py::test_an_ipv6_visitor_is_limited_by_its_network_and_an_ipv4_one_alone[*",
                "sites/test_login_limits.py::test_an_addresss_wrong_passwords_are_counted_whatever_it_forges[",
            ),
            (
                "sites/test_pages_in_a_browser.py::test_lighthouse_finds_nothing_on_what_is_public",
                "sites/test_pages_in_a_browser.py::test_all_that_a_visitor_sees_is_without_fault",
            ),
            (
                "updates/test_updates.py::test_an_update_on_windows_changes_the_files_that_it_changes_elsewhere",
                "updates/test_updates.py::test_an_update_brings_what_is_new_and_keeps_what_was_edited[",
            ),
        )
    ),
    *(
        Nightly(f"sites/test_smoke.py::{test}", "sites/test_smoke.py::test_settings_that_refuse_to_start_are_told")
        for test in (
            "test_a_server_that_dies_at_its_start_is_told_at_once_in_its_own_words",
            "test_nothing_is_left_when_it_is_interrupted[sigterm]",
            "test_what_dotenv_says_stays_out_of_it",
            "test_what_the_server_said_stands_with_a_check_that_fails",
        )
    ),
    # Long pages that are not about running a site.
    *(
        Nightly(page)
        for page in (
            "projects/test_languages.py::test_the_page_on_languages_is_followed",
            "projects/test_polls_tutorial.py::*",
            "projects/test_recipes.py::test_recipes_are_followed*",
            "sites/test_large_tables.py::*",
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
    parameters = test.partition("[")[2].removesuffix("]")
    return parameters not in entry.kept
