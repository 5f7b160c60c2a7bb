"""Every limit has a test: here is which. A limit that is added without one, or is used nowhere, is found here."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.limits import NAMES

TESTS = Path(__file__).parent
PROOFS = {
    "test_d17_a_line_that_is_too_long_is_one_error": "smtp_command_line",
    "test_a9_an_endless_sasl_line_ends_the_connection": "smtp_auth_line",
    "test_no_address_is_refused_with_a_reason": "smtp_address",
    "test_a11_recipients_have_a_limit": "smtp_recipients",
    "test_a11_unknown_recipients_have_a_budget_and_are_summed": "smtp_recipients_unknown",
    "test_a11_errors_have_a_budget": "smtp_errors",
    "test_a11_a_client_may_not_pass_the_time_for_ever": "smtp_idle_commands",
    "test_a11_messages_and_time_have_a_limit": "smtp_messages",
    "test_a11_failed_logins_have_a_budget": "smtp_auth_failures",
    "test_a_message_that_was_passed_on_too_often_goes_no_further": "smtp_hops",
    "test_a3_a_silent_client_is_told_and_let_go": "smtp_command_patience",
    "test_a3_silence_inside_data_is_told_and_nothing_is_stored": "smtp_data_patience",
    "test_a3_a_trickle_is_given_up": "smtp_data_rate",
    "test_a11_a_session_that_is_over_time_may_finish_its_message": "smtp_session",
    "test_s6_a_message_far_over_the_limit_ends_the_connection": "smtp_drain",
    "test_d17_an_endless_line_is_given_up_and_held_nowhere": "smtp_skipped",
    "test_a3_work_after_the_dot_that_takes_too_long_is_answered_in_time": "smtp_accept_patience",
    "test_s6_sizes_are_looked_at_before_the_message": "message_size",
    "test_a_message_over_the_inline_limit_is_parsed_in_a_thread": "parse_inline",
    "test_a_large_message_goes_through_a_file": "spool_memory",
    "test_a_header_too_long_ends_with_a_whole_line": "header_bytes",
    "test_fields_are_bounded": "header_fields",
    "test_addresses_are_bounded": "addresses",
    "test_parameters_are_bounded": "parameters",
    "test_what_is_nested_too_deep_stays_closed": "mime_depth",
    "test_parts_too_many_belong_to_the_last": "mime_parts",
    "test_a_search_too_long_leaves_the_rest_closed": "mime_search",
    "test_encoded_words_are_bounded": "encoded_words",
    "test_a_value_is_bounded": "field_value",
    "test_what_is_told_in_all_is_bounded": "structure_values",
    "test_references_are_bounded_to_the_first_and_the_last": "references",
    "test_headers_only_when_asked_or_when_the_mail_is_long": "notice_original",
    "test_a_preview_is_short_and_cut_between_characters": "preview",
    "test_search_text_is_bounded": "search_text",
    "test_d13_an_endless_line": "imap_line_before_login",
    "test_d13_a_million_parentheses": "imap_line",
    "test_before_login_no_literals_but_for_logging_in": "imap_literal_before_login",
    "test_d13_limits_of_words_depth_ranges_and_patterns": "imap_literal imap_arguments",
    "test_literals_are_read_or_refused_in_step": "imap_command",
    "test_a_line_too_long_is_skipped_with_its_literals_up_to_a_limit": "imap_skip",
    "test_depth_is_bounded": "imap_nesting",
    "test_a_set_has_a_limit": "imap_set_ranges",
    "test_items_and_field_names_are_counted": "imap_fetch_items imap_field_names",
    "test_patterns_are_counted": "imap_list_patterns",
    "test_a_message_has_so_many_keywords_and_no_more": "imap_keywords",
    "test_what_is_no_keyword_is_refused": "imap_keyword_name",
    "test_names_that_are_refused": "imap_mailbox_name imap_mailbox_depth",
    "test_a_user_has_so_many_mailboxes_and_no_more": "imap_mailboxes",
    "test_views_forget_large_mailboxes_first_of_all": "imap_kept_messages",
    "test_refusals_have_their_codes_and_enough_is_enough": "imap_failed_logins",
    "test_too_many_errors_in_a_row": "imap_errors",
    "test_one_octet_at_a_time_is_not_for_ever": "imap_patience_before_login",
    "test_a_line_that_is_never_finished_before_login": "imap_patience",
    "test_i18_idle_says_that_it_is_still_there": "imap_idle_keepalive",
    "test_a_long_line_before_login_is_for_auth_and_pass_only": "pop3_line",
    "test_an_endless_line_ends_the_connection": "pop3_auth_line",
    "test_too_many_errors_end_the_connection": "pop3_errors",
    "test_three_wrong_passwords_end_the_connection": "pop3_failed_logins",
    "test_messages_in_order_are_read_ahead_in_few_steps": "pop3_ahead",
    "test_reading_ahead_is_bounded_in_octets": "pop3_ahead_bytes",
    "test_silence_ends_the_connection_and_changes_nothing": "pop3_patience_before_login pop3_patience",
    "test_too_many_connections_are_refused_in_the_protocols_words": "connections",
    "test_five_hundred_connections_from_one_address": "connections_per_address",
    "test_a_handshake_has_its_time": "handshake_patience",
    "test_a_proxy_that_says_nothing_has_its_time": "proxy_patience",
    "test_many_who_come_at_once_are_held_until_we_accept": "backlog",
    "test_d12_out_of_descriptors_we_pause_and_do_not_spin": "accept_pause",
    "test_the_drain_ends_who_takes_too_long_with_a_word": "drain",
    "test_other_processes_are_heard_too": "look",
    "test_we_stop_reading_when_much_waits_unread_and_go_on_later": "unread",
    "test_a_peer_that_takes_nothing_is_cut_off_after_a_while": "write_patience",
    "test_a_peer_that_never_closes_is_cut_after_the_linger": "close_patience linger",
    "test_the_queue_is_bounded_and_users_find_room_in_it": "login_queue login_workers",
    "test_whoever_guesses_waits_longer_and_longer_and_is_banned": "login_failures ban",
    "test_failures_are_forgotten_after_the_window": "login_window",
    "test_a_success_is_remembered_for_some_minutes_and_a_failure_never": "login_cache",
    "test_the_memory_of_failures_is_bounded": "login_cached",
    "test_private_networks_are_slowed_and_never_banned": "login_delay",
    "test_waiting_for_a_delay_is_bounded_too": "login_delayed",
    "test_what_is_kept_costs_a_guesser_what_the_limits_say": "argon2_memory argon2_passes scram_iterations",
    "test_an_over_long_password_is_simply_wrong": "password",
    "test_plain_refuses_what_it_should": "user_name",
    "test_what_a_peer_does_is_told_for_the_recipient": "reply_line reply_lines out_command_patience out_end_patience",
    "test_hosts_and_addresses_are_bounded": "mx_hosts mx_addresses",
    "test_a_session_at_rest_makes_room_for_another_destination": "outbound_connections",
    "test_sessions_are_reused_and_bounded": "outbound_per_destination",
    "test_what_a_peer_names_no_limit_for_has_ours": "outbound_messages_per_connection out_recipients",
    "test_a_session_that_rests_too_long_says_goodbye": "outbound_idle",
    "test_a_host_that_never_answers_costs_its_patience": "connect_patience",
    "test_a_dead_address_delays_the_next_one_by_a_moment_only": "connect_stagger",
    "test_a_session_that_does_not_begin_is_no_verdict_on_the_mail": "out_greeting_patience",
    "test_a_peer_that_reads_slowly_is_waited_for_but_not_for_ever": "out_content_patience",
    "test_every_combination_of_extensions_brings_the_same_octets": "out_piece",
    "test_no_more_is_taken_in_hand_than_can_be_held": "out_claimed out_lane",
    "test_what_takes_long_keeps_its_lease": "out_lease",
    "test_faults_are_forgotten_after_minutes": "out_memory out_fault_memory",
    "test_a_dead_server_costs_a_few_time_outs_not_one_for_each_question": "dns_patience",
    "test_the_cache_is_bounded": "dns_cache",
    "test_answers_are_kept_as_long_as_their_ttl": "dns_positive",
    "test_no_is_kept_as_long_as_the_zone_says": "dns_negative",
    "test_a_failure_is_asked_again_soon_but_not_at_once": "dns_failure",
    "test_a_list_that_is_silent_or_lists_everything_is_no_listing": "blocklists blocklist_patience",
    "test_name_servers_are_bounded_in_number_and_time": "ns_servers ns_patience",
    "test_who_gets_reports_elsewhere_is_asked_whether_it_wants_them": "dmarc_report_targets",
    "test_a_full_segment_is_sealed_and_never_changes_again": "segment",
    "test_a_group_is_not_larger_than_its_limit": "write_group",
    "test_another_process_that_holds_the_database_means_busy_and_nothing_written": "busy",
    "test_an_account_is_emptied_in_steps": "step",
    "test_below_the_reserve_new_mail_waits_and_everything_else_goes_on": "reserve",
    "test_beyond_the_cap_of_an_hour_only_sums_are_kept": "refusals_per_hour",
    "test_bytes_go_only_after_their_graces": "blob_grace",
    "test_in_all_so_many_refusals_are_kept": "refusals",
    "test_old_expunges_are_forgotten_in_steps_and_a_command_s_stay_together": "tombstones",
    "test_steps_are_cut_by_octets": "compact_step",
    "test_the_house_is_kept_until_it_is_told_to_stop": "house_round",
    "test_where_a_user_logged_in_is_remembered_for_ninety_days": "good_address",
}  # fmt: skip
"""Names of tests, and the limits they prove, in the order of `daemon/limits.py`."""


def test_every_limit_has_a_test() -> None:
    proved = [name for names in PROOFS.values() for name in names.split()]
    assert sorted(proved) == sorted(NAMES)


def test_the_tests_are_there() -> None:
    text = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert PROOFS.keys() - set(re.findall(r"def (test_\w+)\(", text)) == set()


def test_every_limit_is_used() -> None:
    code = "".join(p.read_text() for p in (TESTS.parent / "daemon").rglob("*.py") if p.name != "limits.py")
    assert [name for name in NAMES if not re.search(rf"(?i)limits\.{name}\b", code)] == []
