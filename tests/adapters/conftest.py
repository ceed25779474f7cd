"""The promises in `contract` are assertions too: pytest is to show what they compared."""

import pytest

pytest.register_assert_rewrite("contract")
