"""What a backend promises, as one suite that runs on every storage.

`suite` holds the tests, `fixtures` what they need. To run them on another storage, write in a test module

    from tests.conformance.fixtures import *
    from tests.conformance.suite import *

and a fixture `storage` beside it (or in its conftest) that gives a `Storage`. What a storage cannot do stands in
`limits`; a limit that no longer holds fails the suite.
"""

import pytest

pytest.register_assert_rewrite("tests.conformance.suite", "tests.conformance.storage")
