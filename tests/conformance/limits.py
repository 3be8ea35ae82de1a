"""What some servers cannot do, and why.

The suite checks each limit both ways: a test that passes all the same fails (strict xfail), and so does a limit of a
test, a parameter or a storage that does not exist. The words and reasons go into docs/servers.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from ctadata_providers.errors import IntegrityError, NotFoundError, StorageError, UnsupportedError


@dataclass(frozen=True)
class Reason:
    """Why a server cannot do something, for users.

    Attributes:
        label: Of the footnote.
        text: The footnote; what is the case, and what the client does about it.
    """

    label: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A test that cannot pass on a kind of server.

    Attributes:
        storage: Beginning of the storage's name.
        test: Name of the test.
        value: Value of one of its parameters, None for all.
        says: What the table says instead of "yes".
        reason: Why.
        error: What the test ends with.
        certain: False when it is a matter of timing, so that the test may also pass.
    """

    storage: str
    test: str
    value: str | None = None
    says: str
    reason: Reason
    error: type[BaseException] | tuple[type[BaseException], ...] = AssertionError
    certain: bool = True


CUT = Reason(
    "cut",
    "XRootD cuts a name at `?` and would meet another file: every operation on such a name is refused before anything"
    " is sent. Use another name.",
)
TRIMMED = Reason(
    "trimmed",
    "XRootD trims blanks and non-ASCII letters from the end of a rename's target, and its manager does not learn of a"
    " name with a blank: `move` to such names is refused. Uploads go directly to the name.",
)
PARAMETERS = Reason(
    "parameters",
    "WsgiDAV cuts the target of a rename at `?` and `;`: `move` to such names is refused. Uploads go directly to the"
    " name.",
)
DOTS = Reason(
    "dots",
    "nginx's dav-ext lists no names that begin with a dot. They can be uploaded and downloaded by name; a folder that"
    " holds only such names looks empty, and removing it takes them along.",
)
DIRECT = Reason(
    "direct",
    "A name that XRootD does not rename to rightly (one with a blank, or one that ends in a non-ASCII letter) is"
    " uploaded directly: XRootD empties the old file at once, and what an interruption leaves is removed. Upload to a"
    " new name where the old file matters.",
)
LATE = Reason(
    "late",
    "An XRootD manager does not learn of a new folder whose path has a blank: after a look for it in vain it goes on"
    " answering that there is none, for hours. Files in it are whole, and found by their names. Use names without"
    " blanks.",
)
RACING = Reason(
    "race",
    "The client looks whether the name is taken, and the server does not (WsgiDAV: looks, too, but not in one step"
    " with the rename): a file that appears in the instant between is replaced. Each upload is whole.",
)
UNTOLD = Reason(
    "untold",
    "The server tells no checksums: sizes are compared, and `checksum=require` is an error."
    " `CtaClient.checksum` reads the file.",
)
ADLER32_ONLY = Reason(
    "adler32",
    "dCache keeps adler32, other checksums only where its site has them computed: for those"
    " `CtaClient.checksum` reads the file.",
)
ADLER32_AND_MD5 = Reason(
    "md5",
    "XRootD computes adler32 and md5 when asked, where its site has set `xrootd.chksum` so. For sha-256 the file is"
    " read.",
)
UNLISTED = Reason(
    "unlisted",
    "XRootD tells a checksum only when it is asked for one file: the client does so after transfers of 1 MiB and more,"
    " and always with `checksum=require`.",
)
THROUGH_HERE = Reason(
    "through-here",
    "XRootD copies from itself by a third-party copy, which takes https and a token: a client certificate cannot be"
    " handed on. A manager hands the copy on to a data server, whose host must be in `copy_hosts` for that. Else the"
    " bytes pass through the client.",
)
NEVER = Reason(
    "never",
    "The downloadservice neither removes nor renames: `remove`, `move`, and what needs them, are errors that name the"
    " door (`--backend webdav`, `door_url`) as the way.",
)
IN_PLACE = Reason(
    "in-place",
    "Without a rename an upload goes directly to its name, and what an interruption leaves stays there: it is an"
    " `IntegrityError` that says so, and the next upload replaces it. Upload to a new name where the old file matters.",
)
PASSED_ON = Reason(
    "passed-on",
    "Where dCache is behind it, the downloadservice passes on its redirects of reads, which lead where the hub token"
    " may not go. Files then come by a route that knows no ranges: a cut download begins again.",
)
LISTED_ONLY = Reason(
    "listed-only",
    "The downloadservice tells the checksums of a listing, if its storage does, and is not asked for others: for those"
    " `CtaClient.checksum` reads the file.",
)
_MOVE = "test_moving_to_a_special_name_leaves_its_neighbour_alone"
_RACE = "test_of_many_that_may_not_replace_at_most_one_wins"
_TELLS = "test_the_server_tells_a_checksum_when_asked"
_LISTS = "test_a_listing_tells_the_checksum_of_each_file"
_REQUIRES = "test_a_transfer_can_require_a_checksum"
_TREE = "test_a_tree_with_a_special_name_comes_back"
_QUESTION = "test_every_operation_takes_a_question_mark_literally"
_QUESTION_ACTS = (
    "remove a file",
    "remove recursively a folder",
    "move onto a file",
    "move to nothing",
    "move away a file",
)
_QUESTION_MARKS = (
    "test_a_name_is_literal",
    "test_a_name_is_removed_literally",
    "test_a_tree_with_a_special_name_is_removed",
    "test_a_special_name_leaves_its_neighbour_alone",
    "test_removing_a_special_name_leaves_its_neighbour_alone",
    "test_a_new_folder_with_a_special_name_is_there_at_once",
    "test_a_file_with_a_special_name_is_copied_to_another_such_name",
    _TREE,
    _MOVE,
)


def _refused(storage: str, test: str, value: str | None, says: str, reason: Reason) -> Limit:
    return Limit(storage=storage, test=test, value=value, says=says, reason=reason, error=UnsupportedError)


_REMOVING = {
    "test_a_name_is_removed_literally": "all but `remove` and `move`",
    "test_a_tree_with_a_special_name_is_removed": "all but `remove` and `move`",
    "test_removing_a_special_name_leaves_its_neighbour_alone": "all but `remove` and `move`",
    _MOVE: "all but `remove` and `move`",
    "test_a_file_and_an_empty_folder_are_removed": "no",
    "test_a_full_folder_is_removed_only_when_asked": "no",
    "test_a_recursive_removal_takes_single_files_and_hidden_parts_too": "no",
    "test_a_file_at_depth_one_is_removed": "no",
    "test_a_file_is_moved_within_its_folder_and_to_another": "no",
    "test_a_folder_is_moved_with_all_that_it_holds": "no",
    "test_an_empty_folder_is_moved": "no",
    "test_a_file_is_moved_onto_another_only_when_asked": "no",
    "test_a_sync_removes_only_when_asked_and_what_is_not_left_out": "without `delete`",
    "test_parts_are_cleaned_when_they_are_old_enough": "no",
    "test_sixteen_threads_move_and_remove_with_one_client": "all but `remove` and `move`",
}
_INTERRUPTED = {
    "test_an_interrupted_upload_leaves_nothing_and_the_old_file": "a part may remain",
    "test_a_cut_wire_leaves_nothing_and_the_old_file": "a part may remain",
    "test_a_killed_upload_leaves_the_old_file_and_the_next_one_tidies_up": "a part remains until the next one",
    "test_the_old_file_is_read_while_another_process_replaces_it": "no",
    "test_a_new_file_is_not_there_before_it_is_whole": "no",
    "test_who_reads_in_a_loop_sees_the_old_file_or_the_new_one_and_never_half": "no",
}
SERVICES: tuple[Limit, ...] = (
    *(
        Limit(storage="services", test=test, says=says, reason=NEVER, error=(StorageError, AssertionError))
        for test, says in _REMOVING.items()
    ),
    *(_refused("services", _QUESTION, act, "all but `remove` and `move`", NEVER) for act in _QUESTION_ACTS),
    *(
        Limit(
            storage="services",
            test=test,
            says=says,
            reason=IN_PLACE,
            error=(StorageError, AssertionError),
            certain=test != "test_an_interrupted_upload_leaves_nothing_and_the_old_file",  # not before the first byte
        )
        for test, says in _INTERRUPTED.items()
    ),
    Limit(storage="services", test="test_the_server_copies_by_itself", says="no", reason=NEVER),
    Limit(storage="services", test=_TELLS, says="in listings", reason=LISTED_ONLY),
    Limit(
        storage="services-dcache",
        test="test_the_next_run_goes_on_where_the_last_one_was_cut",
        says="not behind dCache",
        reason=PASSED_ON,
    ),
)

LIMITS: tuple[Limit, ...] = (
    *SERVICES,
    _refused("wsgidav", _MOVE, "q?x", "all but `move`", PARAMETERS),
    _refused("wsgidav", _MOVE, "a;b", "all but `move`", PARAMETERS),
    _refused("wsgidav", _QUESTION, "move onto a file", "all but `move`", PARAMETERS),
    _refused("wsgidav", _QUESTION, "move to nothing", "all but `move`", PARAMETERS),
    *(_refused("xrootd", test, "q?x", "refused", CUT) for test in _QUESTION_MARKS),
    _refused("xrootd", _QUESTION, None, "refused", CUT),
    _refused("xrootd", _MOVE, "t ", "all but `move`", TRIMMED),
    _refused("xrootd", _MOVE, "xü", "all but `move`", TRIMMED),
    *(
        Limit(storage="xrootd", test=test, value="old one", says="the old file is lost", reason=DIRECT)
        for test in (
            "test_an_interrupted_upload_leaves_nothing_and_the_old_file",
            "test_a_cut_wire_leaves_nothing_and_the_old_file",
        )
    ),
    *(
        Limit(
            storage="xrootd-redirecting", test=test, value="a b", says="folders late", reason=LATE, error=NotFoundError
        )
        for test in ("test_a_new_folder_with_a_special_name_is_there_at_once", _TREE)
    ),
    *(
        Limit(storage=storage, test=_RACE, says="not always", reason=RACING, certain=False)
        for storage in ("xrootd", "apache", "wsgidav")
    ),
    *(
        Limit(storage=storage, test="test_the_server_copies_by_itself", says="https with a token", reason=THROUGH_HERE)
        for storage in ("xrootd-http", "xrootd-x509")
    ),
    Limit(
        storage="xrootd-redirecting",
        test="test_the_server_copies_by_itself",
        says="with `copy_hosts`",
        reason=THROUGH_HERE,
    ),
    Limit(storage="nginx", test="test_a_name_is_literal", value=".hidden", says="not listed", reason=DOTS),
    Limit(storage="nginx", test="test_unfinished_uploads_are_hidden", says="hides more", reason=DOTS),
    Limit(
        storage="nginx",
        test="test_a_folder_with_nothing_but_a_hidden_part_is_not_empty",
        says="hides more",
        reason=DOTS,
        error=pytest.fail.Exception,
    ),
    Limit(storage="xrootd", test=_LISTS, says="no", reason=UNLISTED),
    Limit(storage="nginx", test="test_parts_are_cleaned_when_they_are_old_enough", says="not found", reason=DOTS),
    *(
        Limit(storage=storage, test=_LISTS, says="no", reason=UNTOLD)
        for storage in ("apache", "nginx", "wsgidav", "memory")
    ),
    Limit(storage="fakecta", test=_TELLS, value="md5", says="no", reason=ADLER32_ONLY),
    Limit(storage="fakecta", test=_TELLS, value="sha-256", says="no", reason=ADLER32_ONLY),
    Limit(storage="xrootd", test=_TELLS, value="sha-256", says="no", reason=ADLER32_AND_MD5),
    *(Limit(storage=storage, test=_TELLS, says="no", reason=UNTOLD) for storage in ("apache", "nginx", "wsgidav")),
    *(
        Limit(storage=storage, test=_REQUIRES, says="no", reason=UNTOLD, error=IntegrityError)
        for storage in ("apache", "nginx", "wsgidav")
    ),
)


def known_limit(storage: str, test: str, params: Mapping[str, Any]) -> Limit | None:
    """Return the known limit of a test on a storage."""
    fitting = (
        limit
        for limit in LIMITS
        if storage.startswith(limit.storage)
        and limit.test == test
        and (limit.value is None or limit.value in params.values())
    )
    return next(fitting, None)
