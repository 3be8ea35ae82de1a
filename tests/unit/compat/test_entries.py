"""Entries of a listing are texts that have keys."""

import copy
import json
import pickle

import pytest

from ctadata_providers.compat import Entry
from ctadata_providers.compat.entries import ServiceEntry

FIELDS = {"href": "lst/a.fits", "size": "4", "type": "file"}
KINDS = pytest.mark.parametrize("kind", [Entry, ServiceEntry])


@KINDS
def test_it_is_a_text(kind: type[Entry]) -> None:
    entry = kind("lst/a.fits", FIELDS, "/lst/a.fits")

    assert entry == "lst/a.fits"
    assert f"{entry}" == str(entry) == "lst/a.fits"
    assert entry.split("/")[-1] == "a.fits"
    assert (entry[0], entry[-4:], len(entry)) == ("l", "fits", 10)
    assert {entry: 1}["lst/a.fits"] == 1
    assert sorted([entry, "lst/A"])[0] == "lst/A"
    assert json.dumps(entry) == '"lst/a.fits"'


@KINDS
def test_it_has_keys(kind: type[Entry]) -> None:
    entry = kind("lst/a.fits", FIELDS, "/lst/a.fits")

    assert entry["href"] == "lst/a.fits"
    assert (entry.get("size"), entry.get("mtime"), entry.get("mtime", "x")) == ("4", None, "x")
    assert dict(entry) == {**entry} == dict(entry.items()) == FIELDS
    assert list(entry.values()) == list(FIELDS.values())
    with pytest.raises(KeyError):
        _ = entry["mtime"]


@KINDS
def test_copies_and_pickles_know_all_of_it(kind: type[Entry]) -> None:
    entry = kind("a.fits", FIELDS, "/lst/a.fits")
    for other in (copy.copy(entry), copy.deepcopy(entry), pickle.loads(pickle.dumps(entry))):
        assert (other, dict(other), other.path, type(other)) == (entry, FIELDS, "/lst/a.fits", kind)


def test_in_looks_into_the_text_and_with_the_services_at_the_keys_too() -> None:
    text, keyed = Entry("a.fits", FIELDS, "/a.fits"), ServiceEntry("a.fits", FIELDS, "/a.fits")

    assert ["fits" in text, "size" in text, "datacheck" in text] == [True, False, False]
    assert ["fits" in keyed, "size" in keyed, "mtime" in keyed, "datacheck" in keyed] == [True, True, False, False]


def test_keys_values_and_items_are_those_of_a_dictionary() -> None:
    entry = Entry("a", {"href": "lst/a", "size": "4"}, "/lst/a")
    keys = entry.keys()

    assert "size" in keys
    assert "href" in keys  # asked again, out of order
    assert (len(keys), len(entry.items()), len(entry.values())) == (2, 2, 2)
    assert entry.keys() & {"size", "mtime"} == {"size"}
