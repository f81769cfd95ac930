import pytest

pytest.register_assert_rewrite("tests.workers.sinks.contract")
