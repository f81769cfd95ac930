"""The properties that `make test` checks of whatever comes from outside, tried far more often."""

from tests.config.language.test_any_expression import (
    test_an_expression_is_refused_or_gives_data_within_its_limits,
    test_nothing_private_of_an_item_is_asked_for,
    test_what_is_understood_gives_data_within_its_limits,
)
from tests.config.language.test_any_template import test_a_template_is_refused_or_prints_data_within_its_limits
from tests.config.language.test_filters import (
    test_a_number_that_a_program_wrote_is_read_again,
    test_a_slug_is_always_safe_in_a_path,
    test_an_amount_is_read_however_it_is_written,
    test_data_comes_out_of_every_filter_and_test_or_it_says_what_does_not_fit,
    test_null_stays_null_and_is_nothing_else,
    test_what_is_usual_is_read_as_if_it_were_not,
)
from tests.config.sources.test_apify_door import test_whatever_comes_is_read_or_refused
from tests.config.sources.test_apify_verdict import test_no_answer_can_do_more_than_get_a_verdict
from tests.config.test_any_text import (
    folder,
    test_a_broken_file_loads_or_says_where_it_is_broken,
    test_a_reference_is_filled_or_told_and_nothing_is_filled_twice,
    test_any_bytes_are_read_or_refused,
    test_any_number_with_any_unit_is_a_usable_amount_or_none,
    test_any_shards_are_read_or_refused_with_a_place,
)
from tests.config.test_any_value import test_a_changed_file_loads_or_says_where_it_is_wrong
from tests.config.test_environment import test_a_value_never_adds_structure
from tests.config.test_logs import test_whatever_is_escaped_can_be_written_on_one_line
from tests.config.test_routes import test_whatever_stands_anywhere_the_file_loads_or_says_where_it_is_wrong
from tests.workers.routing.test_paths import test_whatever_passes_lies_under_the_base
from tests.workers.test_fence import test_whatever_passes_names_a_host_out_in_the_world

__all__ = [
    "folder",
    "test_a_broken_file_loads_or_says_where_it_is_broken",
    "test_a_changed_file_loads_or_says_where_it_is_wrong",
    "test_a_number_that_a_program_wrote_is_read_again",
    "test_a_reference_is_filled_or_told_and_nothing_is_filled_twice",
    "test_a_slug_is_always_safe_in_a_path",
    "test_a_template_is_refused_or_prints_data_within_its_limits",
    "test_a_value_never_adds_structure",
    "test_an_amount_is_read_however_it_is_written",
    "test_an_expression_is_refused_or_gives_data_within_its_limits",
    "test_any_bytes_are_read_or_refused",
    "test_any_number_with_any_unit_is_a_usable_amount_or_none",
    "test_any_shards_are_read_or_refused_with_a_place",
    "test_data_comes_out_of_every_filter_and_test_or_it_says_what_does_not_fit",
    "test_no_answer_can_do_more_than_get_a_verdict",
    "test_nothing_private_of_an_item_is_asked_for",
    "test_null_stays_null_and_is_nothing_else",
    "test_what_is_understood_gives_data_within_its_limits",
    "test_what_is_usual_is_read_as_if_it_were_not",
    "test_whatever_comes_is_read_or_refused",
    "test_whatever_is_escaped_can_be_written_on_one_line",
    "test_whatever_passes_lies_under_the_base",
    "test_whatever_passes_names_a_host_out_in_the_world",
    "test_whatever_stands_anywhere_the_file_loads_or_says_where_it_is_wrong",
]
