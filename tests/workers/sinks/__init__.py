import pytest

pytest.register_assert_rewrite("workers.testing.contract")
