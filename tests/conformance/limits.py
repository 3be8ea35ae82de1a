"""What some servers cannot do, and why. The suite checks it both ways: a limit that no longer holds fails."""

from dataclasses import dataclass

import pytest

from ctadata_providers.errors import UnsupportedError


@dataclass(frozen=True)
class Limit:
    """A test that cannot pass on a kind of server.

    Attributes:
        server: Beginning of the storage's name.
        test: Name of the test.
        name: The value of its parameter `name`, None for every value.
        reason: Why, for users.
        error: What the test ends with instead.
        certain: False when it is a matter of timing, so that the test may also pass.
    """

    server: str
    test: str
    name: str | None
    reason: str
    error: type[BaseException]
    certain: bool = True


_CUT = "XRootD cuts a name at '?' and would meet another file, so such names are refused"
_TRIMMED = "XRootD trims blanks and non-ASCII bytes from the end of a rename's target, so that is refused"
_PARAMETERS = "WsgiDAV decodes a rename's target before it cuts query and parameters off, so '?' and ';' are refused"
_DOTS = "nginx's dav-ext lists no names that begin with a dot, and its DELETE takes them along"
_RACE = "the server looks whether the target exists, if at all, some time before it renames"
_MOVE = "test_moving_to_a_special_name_leaves_its_neighbour_alone"
_REMOVE = "test_removing_a_special_name_leaves_its_neighbour_alone"
_RACING = "test_of_many_that_may_not_replace_at_most_one_wins"

LIMITS = (
    Limit("wsgidav", _MOVE, "q?x", _PARAMETERS, UnsupportedError),
    Limit("wsgidav", _MOVE, "a;b", _PARAMETERS, UnsupportedError),
    Limit("xrootd", "test_a_name_is_literal", "q?x", _CUT, UnsupportedError),
    Limit("xrootd", "test_a_special_name_leaves_its_neighbour_alone", "q?x", _CUT, UnsupportedError),
    Limit("xrootd", "test_a_tree_with_a_special_name_comes_back", "q?x", _CUT, UnsupportedError),
    Limit("xrootd", _REMOVE, "q?x", _CUT, UnsupportedError),
    Limit("xrootd", _MOVE, "q?x", _CUT, UnsupportedError),
    Limit("xrootd", _MOVE, "t ", _TRIMMED, UnsupportedError),
    Limit("xrootd", _MOVE, "xü", _TRIMMED, UnsupportedError),
    Limit("xrootd", _RACING, None, _RACE, AssertionError, certain=False),
    Limit("apache", _RACING, None, _RACE, AssertionError, certain=False),
    Limit("nginx", "test_a_name_is_literal", ".hidden", _DOTS, AssertionError),
    Limit("nginx", "test_unfinished_uploads_are_hidden", None, _DOTS, AssertionError),
    Limit("nginx", "test_a_folder_with_nothing_but_a_hidden_part_is_not_empty", None, _DOTS, pytest.fail.Exception),
)


def known_limit(storage: str, test: str, name: object) -> Limit | None:
    """Return the known limit of a test on a storage."""
    fitting = (
        limit
        for limit in LIMITS
        if storage.startswith(limit.server) and limit.test == test and limit.name in (None, name)
    )
    return next(fitting, None)
